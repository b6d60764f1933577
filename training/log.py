"""What a run tells: lines for people, JSON lines and TensorBoard events for programs."""

from __future__ import annotations

import importlib
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Protocol

from torch import Tensor

from swin2sr_headless.cli.evaluation import Score

logger = logging.getLogger(__name__)

FILE = "log.jsonl"


class _Board(Protocol):
    """What is used of TensorBoard's SummaryWriter."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def close(self) -> None: ...


class RunLog:
    """Collects values of steps and tells their means. Processes that do not lead stay silent."""

    def __init__(self, folder: Path, active: bool = True) -> None:
        self.folder = folder
        self.active = active
        self._board: _Board | None = _open_board(folder) if active else None
        self._sums: dict[str, Tensor | float] = {}
        self._steps = 0
        self._since = time.monotonic()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._board is not None:
            self._board.close()

    def collect(self, values: dict[str, Tensor | float]) -> None:
        """Add one step's values; tensors are read when told, not now: that would wait for a GPU."""
        self._steps += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def tell(self, step: int, seconds: float, share: float) -> None:
        """Means since the last line, the speed, and the time left; `share` of the run is over."""
        if not self.active or not self._steps:
            return
        means = {name: float(total) / self._steps for name, total in self._sums.items()}
        now = time.monotonic()
        speed = means.pop("pixels", 0.0) * self._steps / max(now - self._since, 1e-9)
        self._sums, self._steps, self._since = {}, 0, now
        left = seconds / share - seconds if share > 0 else 0.0
        logger.info(
            "step %d  loss %.5f  rate %.2e  %.1f kpx/s  %s left",
            *(step, means["loss"], means["learning_rate"], speed / 1000, _minutes(left)),
        )
        self._write(step, {**means, "pixels_per_second": speed, "seconds": seconds})

    def validated(self, step: int, score: Score) -> None:
        """Scores of the averaged weights."""
        found = score.model
        logger.info(
            "step %d  validation %.3f dB  SSIM %.4f  chroma %.3f dB",
            *(step, found.psnr, found.ssim, found.chroma_psnr),
        )
        self._write(step, {f"validation_{name}": value for name, value in asdict(found).items()})

    def _write(self, step: int, values: dict[str, float]) -> None:
        if not self.active:
            return
        with (self.folder / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)


def _open_board(folder: Path) -> _Board | None:
    try:
        module = importlib.import_module("torch.utils.tensorboard")
    except ImportError:
        logger.info("no TensorBoard events are written: install the extra `train` for them")
        return None
    return module.SummaryWriter(str(folder))


def _minutes(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
