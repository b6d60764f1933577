"""What animations of every format have in common: timing, and what changes between frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import NamedTuple

from ..frame import Pixels

DEFAULT_MS = 100.0


class Box(NamedTuple):
    """A rectangle of pixels, half-open: x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int


def frame_durations(durations: Sequence[float]) -> Iterator[float]:
    """Milliseconds per frame, without end: frames that nobody timed last 100 ms."""
    return chain(durations, repeat(DEFAULT_MS))


def ticks(durations: Sequence[float], step: float) -> Iterator[int]:
    """The durations in whole steps of `step` ms, without end.

    What rounding takes from one frame it gives to a later one, so that the animation stays in time
    (1/30 s in steps of 10 ms: 3, 4, 3, ...). A duration that is not zero never becomes zero.
    """
    wanted, told = 0.0, 0
    for duration in frame_durations(durations):
        wanted += duration / step
        steps = max(round(wanted) - told, 1 if duration > 0 else 0)
        told += steps
        yield steps


def changed_box(previous: Pixels | None, pixels: Pixels, align: int = 1) -> Box:
    """The smallest box around what differs; one pixel where nothing does, all without a previous.

    Its top left corner is a multiple of `align`.
    """
    height, width = pixels.shape[:2]
    if previous is None:
        return Box(0, 0, width, height)
    differs = (previous != pixels).any(axis=2)
    rows, columns = differs.any(axis=1).nonzero()[0], differs.any(axis=0).nonzero()[0]
    if not len(rows):
        return Box(0, 0, 1, 1)
    x0, y0 = int(columns[0]) // align * align, int(rows[0]) // align * align
    return Box(x0, y0, int(columns[-1]) + 1, int(rows[-1]) + 1)
