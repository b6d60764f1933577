"""One application of the network to one image: how it is cut up, its work, its memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from ..network.config import Swin2SRConfig
from ..network.head_costs import HEAD_COSTS
from ..network.window_grid import MapRegion, axis_count, round_up
from . import forecast
from .costs import block_work, conv_reach, conv_work, head_work, stage_margin
from .forecast import Terms
from .tiles import Box, TileAxis

_CALL_WORK = 20_000_000
"""Floating-point operations that fit into the time of starting one band's or piece's calls."""


@dataclass(frozen=True)
class PassPlan:
    """How one pass of the network over a height x width image is cut up.

    Sides are in LR pixels of this pass. `unified` tells that the compute device's memory is the
    host's (a CPU), where the output and the image count too. Region sides matter to *staged* only,
    tiles, their overlap and the `blend` of it to *tiled* only. `batch` images of this size are run
    at once: more than one in tiles only. `narrow_head` tells that the head computes in bf16, though
    the maps are in fp32 (int8 where bf16 is native).
    """

    config: Swin2SRConfig
    height: int
    width: int
    precision: str
    strategy: str
    band_windows: int
    conv_side: int
    strip_side: int
    region_side: int
    unified: bool
    other_bytes: int = 0
    tile_side: int = 0
    overlap: int = 0
    blend: str = "gaussian"
    batch: int = 1
    narrow_head: bool = False

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

    def region_around(self, box: Box) -> MapRegion:
        """The part of the map that decides the pixels of `box` (window-aligned) in one stage."""
        margin = stage_margin(self.config)
        top, rows = _with_margin(box.y0, box.y1, self.padded_height, margin)
        left, columns = _with_margin(box.x0, box.x1, self.padded_width, margin)
        return MapRegion(top, left, rows, columns, self.padded_height, self.padded_width)

    @property
    def tile_rows(self) -> TileAxis:
        """The tiles from top to bottom."""
        window = self.config.window
        return TileAxis.cover(self.padded_height, self.tile_side, self.overlap, window)

    @property
    def tile_columns(self) -> TileAxis:
        """The tiles from left to right."""
        window = self.config.window
        return TileAxis.cover(self.padded_width, self.tile_side, self.overlap, window)

    @property
    def tiles(self) -> list[Box]:
        """Every tile on the padded map, top to bottom, then left to right."""
        rows, columns = self.tile_rows, self.tile_columns
        return [
            Box(top, left, top + rows.size, left + columns.size)
            for top in rows.starts
            for left in columns.starts
        ]

    @property
    def tile_plan(self) -> PassPlan:
        """How tiles are run: images of their own, `batch` at once, their pictures on the device.

        There are as many at once as one band has room for: small tiles alone don't fill a GPU.
        """
        rows, columns = self.tile_rows, self.tile_columns
        windows = rows.size * columns.size // self.config.window**2
        count = len(rows.starts) * len(columns.starts)
        return replace(
            self,
            strategy="whole",
            height=rows.size,
            width=columns.size,
            unified=True,
            other_bytes=0,
            batch=max(1, min(count, self.band_windows // windows)),
        )

    @property
    def largest_region(self) -> tuple[int, int]:
        """Height and width of the largest part of the map that a stage is run on at once."""
        axes = (self.padded_height, self.padded_width)
        height, width = (max(size for _, size in self._spans(full)) for full in axes)
        return height, width

    def _spans(self, full: int) -> tuple[Span, ...]:
        """Along one axis: (start, size) of every region, its margin included."""
        side = self.region_side if self.strategy == "staged" else full
        return _spans(full, side, stage_margin(self.config))

    # -- work, in floating-point operations ------------------------------------------------------

    @property
    def work(self) -> int:
        """What the engine will report as done at the end of this pass."""
        if self.strategy == "tiled":
            plan = self.tile_plan
            tiles = len(self.tile_rows.starts) * len(self.tile_columns.starts)
            return tiles * (plan.work // plan.batch)
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
            _window_count(self._spans(full), full, window, shift)
            for full in (self.padded_height, self.padded_width)
        )
        return rows * columns * window**2

    @property
    def cost(self) -> int:
        """`work`, and what the cutting itself costs: context computed twice, and calls."""
        margin = 2 * (HEAD_COSTS[self.config.head].reach + conv_reach(self.config))
        again = (self.strip_side + margin) ** 2 / self.strip_side**2 - 1
        again_conv = (self.conv_side + 2) ** 2 / self.conv_side**2 - 1
        area, stages = self.bounds.area, len(self.config.depths)
        extra = area * head_work(self.config) * again
        extra += area * stages * conv_work(self.config) * again_conv
        bands = sum(self.config.depths) * area / (self.band_windows * self.config.window**2)
        pieces = area / self.strip_side**2 + stages * area / self.conv_side**2
        return self.work + int(extra + (bands + pieces) * _CALL_WORK)

    # -- memory ----------------------------------------------------------------------------------

    @property
    def forecast(self) -> Terms:
        """What is live on the compute device at its fullest moment, by term, in bytes."""
        return forecast.device_terms(self)

    @property
    def forecast_bytes(self) -> int:
        return forecast.total(self.forecast)

    @property
    def host_bytes(self) -> int:
        """The most that is live in host memory besides what the compute device holds."""
        return forecast.host_bytes(self)

    @property
    def total_bytes(self) -> int:
        """The most that is live on the device and the host together."""
        return forecast.total_bytes(self)

    @property
    def charged_bytes(self) -> int:
        """The bytes that a budget has to cover: on a CPU all, elsewhere what is on the device."""
        return self.total_bytes if self.unified else self.forecast_bytes

    # -- other ways to run the same pass ---------------------------------------------------------

    def smaller(self) -> PassPlan | None:
        """The same strategy with smaller bands and pieces; None when they are the smallest."""
        window = self.config.window
        least = replace(self, band_windows=1, conv_side=window, strip_side=window)
        if self == least:
            return None
        return replace(
            self,
            band_windows=max(1, self.band_windows // 2),
            conv_side=max(window, self.conv_side // 2),
            strip_side=max(window, self.strip_side // 2),
        )


Span = tuple[int, int]


def _with_margin(start: int, end: int, full: int, margin: int) -> Span:
    """Start and size of a span with `margin` on both sides, or of the whole axis if no more."""
    size = end - start + 2 * margin
    return (0, full) if size >= full else (start - margin, size)


# The planner asks the same of hundreds of candidates, and an axis can have thousands of spans.


@lru_cache(maxsize=256)
def _spans(full: int, side: int, margin: int) -> tuple[Span, ...]:
    starts = range(0, full, side)
    return tuple(_with_margin(start, min(start + side, full), full, margin) for start in starts)


@lru_cache(maxsize=256)
def _window_count(spans: tuple[Span, ...], full: int, window: int, shift: int) -> int:
    return sum(axis_count(size, full, window, shift) for _, size in spans)
