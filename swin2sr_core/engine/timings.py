"""How long runs took on this machine, and so how long the next one will: seconds per work.

Kept in a file by whoever runs networks: the pack for ComfyUI, the command line. A few runs of every
kind of network, device and precision are enough: the work of a plan is known exactly, and seconds
are very nearly proportional to it.
"""

from __future__ import annotations

import json
import logging
import math
import statistics
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..network.config import Swin2SRConfig
from ..temporary import replacing

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

SHORTEST = 0.02
"""Seconds; what is shorter tells of the machine's mood and not of its speed."""

_KEPT = 12
"""Runs that are remembered of each kind: the latest."""

_NEAREST = 3

_lock = threading.Lock()


@dataclass(frozen=True)
class Kind:
    """What runs must have in common for one to tell of another."""

    device: str
    precision: str
    network: str
    strategy: str

    @classmethod
    def of(
        cls, device: torch.device | str, precision: str, config: Swin2SRConfig, way: str
    ) -> Kind:
        """`device` as torch has it, or "cpu" where torch is not to be imported."""
        network = f"{config.head} x{config.scale} {config.embed_dim}/{sum(config.depths)}"
        name = device if isinstance(device, str) else _device_name(device)
        return cls(name, precision, network, way)

    def __str__(self) -> str:
        return "|".join((self.device, self.precision, self.network, self.strategy))


@dataclass(frozen=True)
class Estimate:
    """Seconds, and whether runs of the very same kind taught them or only similar ones."""

    seconds: float
    same_kind: bool


Runs = dict[str, list[tuple[float, float]]]
"""By kind: (floating-point operations, seconds) of each run, the oldest first."""


@dataclass(frozen=True)
class Timings:
    """What is remembered in one file, which need not be there."""

    path: Path

    def learn(self, kind: Kind, work: int, seconds: float, shortest: float = SHORTEST) -> None:
        """Remember a run that went as planned. A folder that can't be written is logged, no more.

        What took less than `shortest` seconds is not remembered.
        """
        if work <= 0 or seconds < shortest:
            return
        with _lock:
            runs = self._stored()
            latest = [*runs.get(str(kind), []), (float(work), round(seconds, 3))]
            runs[str(kind)] = latest[-_KEPT:]
            try:
                self._store(runs)
            except OSError as error:
                logger.info("the time of this run is not remembered: %s", error)

    def estimate(self, kind: Kind, work: int) -> Estimate | None:
        """Seconds for `work` floating-point operations; None while nothing similar has ever run.

        Similar is the same network on the same device in the same precision, whatever the strategy.
        Another network's pace tells nothing: small ones take ten times as long for the same work.
        """
        runs = self._stored()
        if own := runs.get(str(kind)):
            return Estimate(_seconds(own, work), True)
        start = f"{kind.device}|{kind.precision}|{kind.network}|"
        similar = [run for key, each in runs.items() if key.startswith(start) for run in each]
        return Estimate(_seconds(similar, work), False) if similar else None

    def version(self) -> int:
        """Changes whenever something was learnt."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    def _stored(self) -> Runs:
        """What is remembered; what is damaged, or was written by somebody else, is forgotten."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return {
                str(key): [(float(w), float(s)) for w, s in runs if w > 0 and s > 0]
                for key, runs in content["runs"].items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            logger.info("%s is started anew: %s", self.path, error)
            return {}

    def _store(self, runs: Runs) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as file:
            file.write(json.dumps({"version": 1, "runs": runs}, indent=1).encode())


def _seconds(runs: list[tuple[float, float]], work: int) -> float:
    """By the pace of the runs nearest in size: small ones are slower for their work."""
    nearest = sorted(runs, key=lambda run: abs(math.log(run[0] / max(work, 1))))[:_NEAREST]
    return work * statistics.median(seconds / done for done, seconds in nearest)


def _device_name(device: torch.device) -> str:
    if device.type != "cuda":
        return device.type
    import torch

    return torch.cuda.get_device_name(device)
