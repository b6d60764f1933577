"""The grid of windows on a feature map, as numbers: rounding up to it, and regions on it."""

from __future__ import annotations

from dataclasses import dataclass


def round_up(size: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is at least `size`."""
    return -(-size // multiple) * multiple


@dataclass(frozen=True)
class MapRegion:
    """A window-aligned rectangle of the (padded) feature map, in LR pixels; it may wrap around.

    A region that spans an axis of the map owns the windows that wrap around on that axis; one that
    does not span it has context on that axis instead, and its wrapped windows do not exist.
    """

    top: int
    left: int
    height: int
    width: int
    map_height: int
    map_width: int

    @classmethod
    def whole(cls, height: int, width: int) -> MapRegion:
        """The region that is the map itself."""
        return cls(0, 0, height, width, height, width)


def axis_count(size: int, map_size: int, window: int, shift: int) -> int:
    """Windows along one axis of a region; a wrapped one exists only where it spans the map.

    In a smaller region it would lie in the context, where nothing is kept.
    """
    return size // window - (1 if shift and size < map_size else 0)
