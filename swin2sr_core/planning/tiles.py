"""Rectangles on the LR grid: cutting them up, giving them context, tiling an axis."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from ..network.window_grid import round_up
from ..sentences import sentence

_OVERLAP = 32
"""LR pixels: with the outer quarter thrown away, 0.1/255 off the whole picture at 384-px tiles."""


@dataclass(frozen=True)
class Box:
    """A rectangle `[y0, y1) x [x0, x1)` in LR pixels."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def area(self) -> int:
        return self.height * self.width

    def grown(self, margin: int, bounds: Box) -> Box:
        """This box with `margin` pixels on every side, cut off at `bounds`."""
        return Box(
            max(self.y0 - margin, bounds.y0),
            max(self.x0 - margin, bounds.x0),
            min(self.y1 + margin, bounds.y1),
            min(self.x1 + margin, bounds.x1),
        )

    def relative_to(self, outer: Box) -> Box:
        """The same pixels, counted from the top left of `outer`."""
        return self.moved(-outer.y0, -outer.x0)

    def moved(self, rows: int, columns: int) -> Box:
        """This box shifted down and to the right."""
        return Box(self.y0 + rows, self.x0 + columns, self.y1 + rows, self.x1 + columns)

    def scaled(self, factor: int) -> Box:
        """The same pixels on a grid that is `factor` times finer."""
        return Box(self.y0 * factor, self.x0 * factor, self.y1 * factor, self.x1 * factor)

    def clipped(self, bounds: Box) -> Box:
        """The part of this box inside `bounds`."""
        return self.grown(0, bounds)

    @property
    def rows(self) -> slice:
        return slice(self.y0, self.y1)

    @property
    def columns(self) -> slice:
        return slice(self.x0, self.x1)


def split(box: Box, rows: int, columns: int) -> list[Box]:
    """Cut `box` into pieces of at most rows x columns, top to bottom, then left to right."""
    return [
        Box(y, x, min(y + rows, box.y1), min(x + columns, box.x1))
        for y in range(box.y0, box.y1, rows)
        for x in range(box.x0, box.x1, columns)
    ]


def longest_piece(size: int, side: int, margin: int, bound: int) -> int:
    """The longest span of those that cutting `size` into `side` gives, grown by `margin`.

    A span grows to 0 and to `bound` at most.
    """
    starts = (0, side, (size - 1) // side * side)
    ends = ((y, min(y + side, size)) for y in starts if y < size)
    return max(min(end + margin, bound) - max(start - margin, 0) for start, end in ends)


@dataclass(frozen=True)
class TileAxis:
    """Equal tiles along one axis: all start and end on the window grid, neighbours overlap."""

    size: int
    starts: tuple[int, ...]

    @classmethod
    def cover(cls, full: int, tile: int, overlap: int, window: int) -> TileAxis:
        """Tiles of at most `tile` pixels over `full` pixels; all arguments multiples of `window`.

        How many there must be is decided first, then how large they need to be, so that no tile
        is a sliver. Neighbours overlap by at least `overlap`.
        """
        if full <= tile:
            return cls(full, (0,))
        count = -(-(full - overlap) // (tile - overlap))
        size = -(-(full + (count - 1) * overlap) // (count * window)) * window
        room = full - size
        starts = (index * room // (count - 1) // window * window for index in range(count))
        return cls(size, tuple(starts))


@dataclass(frozen=True)
class Tiling:
    """How tiles are wanted: at most `side` LR pixels (0: the planner's choice), on the window grid.

    Neighbours overlap by at least `overlap`; `blend` is gaussian, cosine or linear.
    """

    side: int
    overlap: int
    blend: str

    @classmethod
    def on_grid(
        cls, window: int, side: int = 0, overlap: int | None = None, blend: str = "gaussian"
    ) -> tuple[Tiling, tuple[str, ...]]:
        """What was asked, rounded up to the window grid, with notes on what has changed.

        An `overlap` of None is 32. Raises InputError for negative numbers.
        """
        if side < 0 or (overlap or 0) < 0:
            raise InputError.saying(
                "negative_tiles",
                "tile and overlap can't be negative, got {tile} and {overlap}",
                tile=side,
                overlap=overlap,
            )
        notes = []
        rounded = round_up(_OVERLAP if overlap is None else overlap, window)
        if overlap not in (None, rounded):
            notes.append(
                sentence(
                    "overlap_rounded",
                    "overlap {asked} became {overlap}, a multiple of the window ({window})",
                    asked=overlap,
                    overlap=rounded,
                    window=window,
                )
            )
        if side == 0:
            return cls(0, rounded, blend), tuple(notes)
        tile = max(round_up(side, window), rounded + 2 * window)
        if tile != side:
            notes.append(
                sentence(
                    "tile_rounded",
                    "tile {asked} became {tile}: a multiple of the window ({window}) that leaves "
                    "room beside an overlap of {overlap}",
                    asked=side,
                    tile=tile,
                    window=window,
                    overlap=rounded,
                )
            )
        return cls(tile, rounded, blend), tuple(notes)
