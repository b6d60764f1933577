"""What a pass writes its picture on: a tensor for all of it, or a strip of rows that move on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ..planning.tiles import Box

_BAND_SAMPLES = 1 << 20
"""Of one piece that is handed on: four megabytes."""


class Canvas(Protocol):
    """B x C x h x w, float32; boxes are in its own pixels."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def device(self) -> torch.device: ...

    def put(self, box: Box, values: Tensor) -> None:
        """Write B x C x rows x columns."""

    def add(self, box: Box, values: Tensor) -> None:
        """Add to what is there: zeros at first."""

    def clear(self) -> None:
        """Start again, from zeros."""

    def finish(self, row: int) -> None:
        """Nothing above `row` will be written again."""


class WholeCanvas:
    """A tensor that is the caller's."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    @property
    def device(self) -> torch.device:
        return self.tensor.device

    def put(self, box: Box, values: Tensor) -> None:
        self.tensor[..., box.rows, box.columns] = values

    def add(self, box: Box, values: Tensor) -> None:
        self.tensor[..., box.rows, box.columns] += values

    def clear(self) -> None:
        self.tensor.zero_()

    def finish(self, row: int) -> None:
        pass


class RowCanvas:
    """1 x C x h x w of which only the unfinished rows are there, in host memory.

    `emit` gets the finished ones from the top, in bands of 1 x C x rows x w in 0..1, a copy each.
    What is written once more above them, after a step down to another plan, is dropped.
    """

    device = torch.device("cpu")

    def __init__(self, shape: tuple[int, ...], emit: Callable[[Tensor], None]) -> None:
        self.shape, self._emit = shape, emit
        self._top = 0
        self._strip = self._zeros(0)

    def put(self, box: Box, values: Tensor) -> None:
        place, rows = self._place(box)
        self._strip[..., place, box.columns] = values[..., rows:, :]

    def add(self, box: Box, values: Tensor) -> None:
        place, rows = self._place(box)
        self._strip[..., place, box.columns] += values[..., rows:, :]

    def clear(self) -> None:
        self._strip = self._zeros(0)

    def finish(self, row: int) -> None:
        if row <= self._top:
            return
        step = max(1, _BAND_SAMPLES // (self.shape[1] * self.shape[3]))
        while self._top < row:
            rows = min(step, row - self._top)
            self._emit(self._strip[..., :rows, :].clamp(0, 1))
            # only now: whoever fails in between goes on behind what has left
            self._strip = self._strip[..., rows:, :]
            self._top += rows
        self._strip = self._strip.clone()  # without the rows that have left

    def _place(self, box: Box) -> tuple[slice, int]:
        """Where a box is in the strip, and how many of its rows have left."""
        missing = box.y1 - self._top - self._strip.shape[2]
        if missing > 0:
            waiting = self._strip
            self._strip = self._zeros(waiting.shape[2] + missing)
            self._strip[:, :, : waiting.shape[2]] = waiting
        gone = min(max(0, self._top - box.y0), box.height)
        return slice(box.y0 + gone - self._top, max(box.y1 - self._top, 0)), gone

    def _zeros(self, rows: int) -> Tensor:
        with torch.inference_mode(False):
            return torch.zeros(1, self.shape[1], rows, self.shape[3])
