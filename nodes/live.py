"""A run as the page sees it: how far, how long still, how much memory, and the picture so far."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from ..swin2sr_core.engine.upscale import Piece
from ..swin2sr_core.planning.picture_plan import PicturePlan
from . import events, host, timings
from .managed import UpscaleModel
from .report import Summary

_TELL_SECONDS = 0.2
_PICTURE_SIDE = 512
_LARGEST_SCALE = 4


class Live:
    """One run, told to the page in messages of the event `events.RUN_EVENT`.

    Each has the `node`, the `prompt` and a `kind`: first "start" with what was planned, then
    "progress" a few times a second, last "done" with the report. Without a page that listens
    nothing is sent.
    """

    def __init__(
        self, model: UpscaleModel, plan: PicturePlan, frames: int, memory: host.ResidentMemory
    ) -> None:
        self.model, self.picture_plan, self.frames = model, plan, frames
        self.canvas = Canvas(torch.zeros(1, 3, 1, 1))
        self._memory = memory
        self._prompt, self._node = events.executing_node()
        self._started = time.monotonic()
        self._next = 0.0
        self._device = model.device
        self._base = self._most = _allocated(model.device)
        planned = plan.plan
        kind = timings.Kind.of(self._device, planned.precision, model.config, planned.way)
        self._kind = kind
        self._expected = timings.estimate(kind, planned.work * frames)
        self._send("start", **self._planned())

    def advance(self, done: int, total: int, frame: int) -> None:
        """`done` of `total` is over, whole batch; `frame` (from 0) is being worked on."""
        now = time.monotonic()
        if now < self._next and done < total:
            return
        self._next = now + _TELL_SECONDS
        self._most = max(self._most, _allocated(self._device))
        seconds = now - self._started
        self._send(
            "progress",
            fraction=round(done / max(total, 1), 4),
            frame=frame + 1,
            frames=self.frames,
            seconds=round(seconds, 2),
            left_seconds=self._left(seconds, done / max(total, 1)),
            memory_bytes=self._memory_bytes(),
        )

    def fallback(self, sentence: str) -> None:
        """Something that does not go as planned, as it happens."""
        self._send("fallback", sentence=sentence)

    def done(self, summary: Summary) -> events.Message:
        """The end of a run that was not cancelled; its time is remembered if it went as planned.

        Returns what the page was told, for ComfyUI to keep with the outputs (`events.kept`).
        """
        plan, done = self.picture_plan.plan, summary.done
        if not done.fallbacks:
            work = sum(report.plan.work for report in done.reports)
            timings.learn(self._kind, work, done.seconds)
        peak = done.peak_bytes or 0
        on_device = self._device.type != "cpu" and peak > 0
        return self._send(
            "done",
            **self._planned(),
            seconds=round(summary.seconds, 2),
            used_strategy=done.strategy,
            memory_bytes=peak if on_device else summary.grown_bytes,
            memory_of="device" if on_device else "process",
            fallbacks=list(done.fallbacks),
            notes=[*self.picture_plan.notices, *plan.notes],
            text=str(summary),
            said=summary.lines,
        )

    # -- the picture -----------------------------------------------------------------------------

    def begin(self, planes: Tensor) -> None:
        """A frame starts: 1 C H W in 0..1, as the network gets it."""
        self.canvas = Canvas(planes)

    def piece(self, piece: Piece) -> None:
        """Put a finished piece into the picture."""
        self.canvas.put(piece)

    def picture(self) -> Tensor:
        """The frame as far as it is done, 3 H W of 8 bits, for the node's progress bar."""
        return self.canvas.pixels

    # -- inside ----------------------------------------------------------------------------------

    def _planned(self) -> dict[str, object]:
        picture, plan = self.picture_plan, self.picture_plan.plan
        return {
            "model": self.model.core.name,
            "device": str(self._device),
            "precision": plan.precision,
            "strategy": plan.strategy,
            "frames": self.frames,
            "input": [picture.input_width, picture.input_height],
            "output": [picture.width, picture.height],
            "forecast_bytes": plan.forecast_bytes,
            "expected_seconds": round(self._expected.seconds, 2) if self._expected else None,
        }

    def _left(self, seconds: float, fraction: float) -> float | None:
        """By what has been done; by earlier runs while that is too little to tell."""
        if fraction >= 0.05 and seconds >= 0.5:
            return round(seconds * (1 - fraction) / fraction, 1)
        if self._expected is None:
            return None
        return round(max(0.0, self._expected.seconds - seconds), 1)

    def _memory_bytes(self) -> int | None:
        """The most that the run has taken so far: of the device, or else of the process."""
        if self._device.type == "cuda":
            return self._most - self._base
        return self._memory.growth

    def _send(self, kind: str, said: object = None, **values: object) -> events.Message:
        """`said` has the sentences of which texts among the values consist."""
        named = {"kind": kind, "node": self._node, "prompt": self._prompt}
        message = events.worded(named | values, said)
        events.tell(events.RUN_EVENT, message)
        return message


class Canvas:
    """A small picture of a frame: the input enlarged, over which finished pieces are put.

    `pixels` is 3 H W of 8 bits, where the picture is; nothing here waits for a device, and next to
    nothing is taken of the memory that was planned with.
    """

    def __init__(self, planes: Tensor) -> None:
        height, width = planes.shape[-2:]
        shrink = min(_PICTURE_SIDE / max(height, width), _LARGEST_SCALE)
        self.height, self.width = (max(1, round(side * shrink)) for side in (height, width))
        rows, columns = _samples(self.height, height), _samples(self.width, width)
        self.pixels = _sampled(planes[0], rows, columns).expand(3, -1, -1).clone()

    def put(self, piece: Piece) -> None:
        """Take over the samples that lie inside the piece's box."""
        image, box = piece.image[0], piece.box
        top, rows = _within(_samples(self.height, image.shape[-2]), box.y0, box.y1)
        left, columns = _within(_samples(self.width, image.shape[-1]), box.x0, box.x1)
        if rows and columns:
            part = _sampled(image, rows, columns).to(self.pixels.device)
            self.pixels[:, top : top + len(rows), left : left + len(columns)] = part


def _samples(count: int, size: int) -> list[int]:
    """Where `count` samples of an axis of `size` pixels lie: in the middle of equal spans."""
    return [(2 * index + 1) * size // (2 * count) for index in range(count)]


def _within(samples: list[int], start: int, end: int) -> tuple[int, list[int]]:
    """The samples in `[start, end)`, and the number of the first."""
    first = sum(sample < start for sample in samples)
    return first, [sample for sample in samples if start <= sample < end]


def _sampled(image: Tensor, rows: list[int], columns: list[int]) -> Tensor:
    """C H W in 0..1 -> C h w of 8 bits."""
    down = torch.tensor(rows, device=image.device)[:, None]
    picked = image[:3, down, torch.tensor(columns, device=image.device)]
    return picked.clamp(0, 1).mul_(255).round_().to(torch.uint8)


def _allocated(device: torch.device) -> int:
    """Live tensor bytes there; 0 where torch does not count them."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
