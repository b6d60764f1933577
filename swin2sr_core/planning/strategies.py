"""The ways to run a pass, *whole*, *staged* and *tiled*: each with its memory and its words."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar

from ..network.window_grid import MapRegion
from ..sentences import sentence
from . import forecast
from .costs import stage_margin
from .pass_plan import PassPlan, Span, Terms, region_spans, with_margin
from .tiles import Box, TileAxis

_BYTE_WORK = 1500
"""Floating-point operations in the time of a byte on its way, whichever way.

A cut through pageable memory moves 3.4 GB/s (measured on a CPU), and the fastest cards are expected
to do 9 TFLOP/s of this network; on slower ones less would be true. A card has told nothing yet.
"""


class _OnDevice(PassPlan):
    """What keeps nothing on the host but pictures, and these all the time."""

    @property
    def host_bytes(self) -> int:
        return forecast.host_pictures(self) + forecast.pinned_bytes(self)

    @property
    def total_bytes(self) -> int:
        return self.forecast_bytes + self.host_bytes


@dataclass(frozen=True, kw_only=True)
class Whole(_OnDevice):
    """Exact: both feature maps stay on the compute device."""

    strategy: ClassVar[str] = "whole"
    exact: ClassVar[bool] = True

    @property
    def forecast(self) -> Terms:
        return max(self._phases, key=forecast.total)

    @property
    def pieces(self) -> str:
        return ""

    @property
    def summary(self) -> str:
        return sentence(
            "whole_bands", "whole, bands of {windows} windows", windows=self.band_windows
        )

    @property
    def _phases(self) -> tuple[Terms, ...]:
        maps = forecast.map_bytes(self)
        return (
            forecast.embed_terms(self, maps),
            forecast.body_terms(self),
            forecast.head_terms(self, maps),
        )


@dataclass(frozen=True, kw_only=True)
class Staged(PassPlan):
    """Exact: the maps stay in host memory; a region at a time is on the device, for one stage.

    Regions are squares of `region_side`, a multiple of the window, with a margin around.
    """

    region_side: int

    strategy: ClassVar[str] = "staged"
    exact: ClassVar[bool] = True

    def region_around(self, box: Box) -> MapRegion:
        """The part of the map that decides the pixels of `box` (window-aligned) in one stage."""
        margin = stage_margin(self.config)
        top, rows = with_margin(box.y0, box.y1, self.padded_height, margin)
        left, columns = with_margin(box.x0, box.x1, self.padded_width, margin)
        return MapRegion(top, left, rows, columns, self.padded_height, self.padded_width)

    def spans(self, full: int) -> tuple[Span, ...]:
        return region_spans(full, self.region_side, stage_margin(self.config))

    @property
    def forecast(self) -> Terms:
        return max((terms for terms, _ in self._phases), key=forecast.total)

    @property
    def host_bytes(self) -> int:
        return max(maps for _, maps in self._phases) + self._beside

    @property
    def total_bytes(self) -> int:
        most = max(forecast.total(terms) + maps for terms, maps in self._phases)
        return most + self._beside

    @property
    def cost(self) -> int:
        """Its maps cross the bus, there and back in every stage."""
        return super().cost + (0 if self.unified else self._crossing_bytes * _BYTE_WORK)

    @property
    def _beside(self) -> int:
        """Bytes on the host besides the maps."""
        pixel = self._pixel_bytes
        height, width = self.largest_region
        side = min(self.region_side, max(self.padded_height, self.padded_width))
        pinned = forecast.pinned_bytes(self, height * width * pixel, side**2 * pixel)
        return forecast.host_pictures(self) + pinned

    @property
    def _pixel_bytes(self) -> int:
        """Of a map, in all images of the batch."""
        return forecast.map_bytes(self) // self.bounds.area

    @property
    def _crossing_bytes(self) -> int:
        """Into the regions of every stage with their margins, and back; twice at both ends."""
        rows, columns = (
            sum(size for _, size in self.spans(full))
            for full in (self.padded_height, self.padded_width)
        )
        stages = len(self.config.depths)
        return self._pixel_bytes * (stages * rows * columns + (stages + 2) * self.bounds.area)

    @property
    def pieces(self) -> str:
        return sentence("regions_of", "regions of {side} px", side=self.region_side)

    @property
    def summary(self) -> str:
        return sentence("staged_regions", "staged, {pieces}", pieces=self.pieces)

    @property
    def _phases(self) -> tuple[tuple[Terms, int], ...]:
        """What is on the device, and the maps on the host: two in the stages, one at the ends."""
        one = forecast.map_bytes(self)
        return (
            (forecast.embed_terms(self, 0), one),
            (forecast.body_terms(self), 2 * one),
            (forecast.head_terms(self, 0), one),
        )


@dataclass(frozen=True, kw_only=True)
class Tiled(_OnDevice):
    """Not exact: tiles of at most `tile_side` that `overlap`, each an image of its own, blended."""

    tile_side: int
    overlap: int
    blend: str

    strategy: ClassVar[str] = "tiled"
    exact: ClassVar[bool] = False

    @property
    def tile_rows(self) -> TileAxis:
        """The tiles from top to bottom."""
        return self._axis(self.padded_height)

    @property
    def tile_columns(self) -> TileAxis:
        """The tiles from left to right."""
        return self._axis(self.padded_width)

    def _axis(self, full: int) -> TileAxis:
        return TileAxis.cover(full, self.tile_side, self.overlap, self.config.window)

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
    def strip_rows(self) -> int:
        """A row of tiles, and what waits of the one before for its neighbours below."""
        return min(self.padded_height, self.tile_rows.size + self.overlap)

    @property
    def tile_count(self) -> int:
        return len(self.tile_rows.starts) * len(self.tile_columns.starts)

    @property
    def tile_plan(self) -> Whole:
        """How tiles are run: images of their own, `batch` at once, their pictures on the device.

        There are as many at once as one band has room for: small tiles alone don't fill a GPU.
        """
        rows, columns = self.tile_rows, self.tile_columns
        windows = rows.size * columns.size // self.config.window**2
        room = 1 if self.exported else self.band_windows // windows
        batch = max(1, min(self.tile_count, room))
        given = batch * rows.size * columns.size * self.config.in_channels * forecast.FP32_BYTES
        return as_whole(
            self,
            height=rows.size,
            width=columns.size,
            resident=True,
            other_bytes=given if self.holds_pictures else 0,
            streamed=False,
            batch=batch,
        )

    @property
    def work(self) -> int:
        plan = self.tile_plan
        return self.tile_count * (plan.work // plan.batch)

    @property
    def forecast(self) -> Terms:
        plan = self.tile_plan
        terms = forecast.exported_terms(plan) if self.exported else plan.forecast
        tile = tuple((_of_tile(name), size) for name, size in terms)
        return (*forecast.resident_terms(self), *tile)

    @property
    def pieces(self) -> str:
        rows, columns = self.tile_rows, self.tile_columns
        return sentence(
            "tiles_count",
            "{count} tiles of {width}x{height} px",
            count=self.tile_count,
            width=columns.size,
            height=rows.size,
        )

    @property
    def summary(self) -> str:
        side = min(self.tile_side, max(self.height, self.width))
        return sentence("tiled_tiles", "tiled, tiles of {side} px", side=side)


@cache
def _of_tile(name: str) -> str:
    return sentence("term_of_tile", "tile: {name}", name=name)


_LAYOUT = tuple(each.name for each in fields(PassPlan))


def as_whole(plan: PassPlan, **changes: Any) -> Whole:
    """The same pass, in the same bands and pieces, as *whole*."""
    return Whole(**{**layout(plan), **changes})


def layout(plan: PassPlan) -> dict[str, Any]:
    """What every strategy has in common, by name."""
    return {name: getattr(plan, name) for name in _LAYOUT}
