"""One application of the network to one image: how it is cut up, its work, its memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from ..network.config import Swin2SRConfig
from ..network.head_costs import HEAD_COSTS
from ..network.window_grid import axis_count, round_up
from .costs import block_work, conv_reach, conv_work, head_work
from .tiles import Box

if TYPE_CHECKING:
    from typing_extensions import Self

Terms = tuple[tuple[str, int], ...]
"""(what it is for, bytes) pairs."""

_CALL_WORK = 20_000_000
"""Floating-point operations that fit into the time of starting one band's or piece's calls."""


@dataclass(frozen=True, kw_only=True)
class PassPlan(ABC):
    """How one pass of the network over a height x width image is cut up; each strategy is a kind.

    Sides are in LR pixels of this pass. Bands of `band_windows` windows go through a block at
    once; convolutions and the head work on squares of `conv_side` and `head_side`. `unified` tells
    that the compute device's memory is the host's (a CPU). There the output and the image count
    too, as they do where they are `resident` on another device. `batch` images of this size are run
    at once: more than one in tiles only. `other_bytes` are pictures that wait meanwhile. With
    `streamed` the result leaves in strips of rows, as it is made, and is never there as a whole.
    `int8_in_bf16` tells that int8 is the file's format alone, as where bf16 is native.
    `kernel_threads` is how many threads a compiled kernel runs the blocks on, which then need no
    band's memory; 0 where PyTorch runs them. With `exported` the network is a file in another
    runtime, which cuts nothing up by itself.
    """

    config: Swin2SRConfig
    height: int
    width: int
    precision: str
    band_windows: int
    conv_side: int
    head_side: int
    unified: bool
    resident: bool = False
    other_bytes: int = 0
    batch: int = 1
    int8_in_bf16: bool = False
    kernel_threads: int = 0
    exported: bool = False
    streamed: bool = False

    strategy: ClassVar[str]
    exact: ClassVar[bool]
    """Whether the result is the whole network's on the whole image, to float rounding."""

    @property
    def computed_in(self) -> str:
        """The precision of the maps: int8 is bf16 where that is native (`prepared.precision`)."""
        return "bf16" if self.int8_in_bf16 else self.precision

    @property
    def holds_pictures(self) -> bool:
        """Whether the output and the image are in the compute device's memory."""
        return self.unified or self.resident

    # -- geometry --------------------------------------------------------------------------------

    @property
    def padded_height(self) -> int:
        return round_up(self.height, self.config.window)

    @property
    def padded_width(self) -> int:
        return round_up(self.width, self.config.window)

    @property
    def bounds(self) -> Box:
        """The padded map."""
        return Box(0, 0, self.padded_height, self.padded_width)

    def spans(self, full: int) -> tuple[Span, ...]:
        """Along one axis of the map: (start, size) of every region that a stage runs on."""
        return ((0, full),)

    @property
    def largest_region(self) -> tuple[int, int]:
        """Height and width of the largest part of the map that a stage is run on at once."""
        axes = (self.padded_height, self.padded_width)
        height, width = (max(size for _, size in self.spans(full)) for full in axes)
        return height, width

    # -- work, in floating-point operations ------------------------------------------------------

    @property
    def work(self) -> int:
        """What the engine will report as done at the end of this pass."""
        body = sum(self.stage_work(stage) for stage in range(len(self.config.depths)))
        return body + self.batch * self.height * self.width * head_work(self.config)

    def stage_work(self, stage: int) -> int:
        """One stage with its convolution, context that is computed twice included."""
        depth = self.config.depths[stage]
        plain, shifted = self._block_pixels(0), self._block_pixels(self.config.shift)
        pixels = (depth - depth // 2) * plain + depth // 2 * shifted
        convolution = conv_work(self.config) * self.bounds.area
        return self.batch * (pixels * block_work(self.config) + convolution)

    def _block_pixels(self, shift: int) -> int:
        """Pixels in the windows of all regions in one block, context included."""
        window = self.config.window
        rows, columns = (
            _window_count(self.spans(full), full, window, shift)
            for full in (self.padded_height, self.padded_width)
        )
        return rows * columns * window**2

    @property
    def cost(self) -> int:
        """`work`, and what the cutting itself costs: context computed twice, and calls."""
        margin = 2 * (HEAD_COSTS[self.config.head].reach + conv_reach(self.config))
        again = (self.head_side + margin) ** 2 / self.head_side**2 - 1
        again_conv = (self.conv_side + 2) ** 2 / self.conv_side**2 - 1
        area, stages = self.bounds.area, len(self.config.depths)
        extra = area * head_work(self.config) * again
        extra += area * stages * conv_work(self.config) * again_conv
        bands = sum(self.config.depths) * area / (self.band_windows * self.config.window**2)
        pieces = area / self.head_side**2 + stages * area / self.conv_side**2
        return self.work + int(extra + (bands + pieces) * _CALL_WORK)

    # -- memory ----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def forecast(self) -> Terms:
        """What is live on the compute device at its fullest moment, by term, in bytes."""

    @property
    @abstractmethod
    def host_bytes(self) -> int:
        """The most that is live in host memory besides what the compute device holds."""

    @property
    def strip_rows(self) -> int:
        """Rows of this pass, in LR pixels, that are there at once where the result is streamed."""
        return min(self.height, self.head_side)

    @property
    @abstractmethod
    def total_bytes(self) -> int:
        """The most that is live on the device and the host together."""

    @property
    def forecast_bytes(self) -> int:
        return sum(size for _, size in self.forecast)

    @property
    def charged_bytes(self) -> int:
        """The bytes that a budget has to cover: on a CPU all, elsewhere what is on the device."""
        return self.total_bytes if self.unified else self.forecast_bytes

    # -- words -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def pieces(self) -> str:
        """What the map is cut into besides bands, for people; empty for *whole*."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """The strategy and the size of its pieces, for people."""

    # -- other ways to run the same pass ---------------------------------------------------------

    def smaller(self) -> Self | None:
        """The same strategy with smaller bands and pieces; None when they are the smallest."""
        window = self.config.window
        least = replace(self, band_windows=1, conv_side=window, head_side=window)
        if self == least:
            return None
        return replace(
            self,
            band_windows=max(1, self.band_windows // 2),
            conv_side=max(window, self.conv_side // 2),
            head_side=max(window, self.head_side // 2),
        )


Span = tuple[int, int]


def with_margin(start: int, end: int, full: int, margin: int) -> Span:
    """Start and size of a span with `margin` on both sides, or of the whole axis if no more."""
    size = end - start + 2 * margin
    return (0, full) if size >= full else (start - margin, size)


# The planner asks the same of hundreds of candidates, and an axis can have thousands of spans.


@lru_cache(maxsize=256)
def region_spans(full: int, side: int, margin: int) -> tuple[Span, ...]:
    """Regions of `side` along an axis of `full`, each with `margin` on both sides."""
    starts = range(0, full, side)
    return tuple(with_margin(start, min(start + side, full), full, margin) for start in starts)


@lru_cache(maxsize=256)
def _window_count(spans: tuple[Span, ...], full: int, window: int, shift: int) -> int:
    return sum(axis_count(size, full, window, shift) for _, size in spans)
