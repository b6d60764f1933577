"""Pure: faces -> areas to replace, and the crops that the network has to see for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..network.window_grid import round_up
from ..planning.tiles import Box
from .face import Face

CONTEXT = 16
"""LR pixels around an area that are computed and thrown away.

On the window grid the official lightweight network differs then from the whole picture by 0.3/255
at most, and that at the very edge of the area, where its weight is next to nothing.
"""

_SAME = 0.5
"""Crops that share more of their union than this become one."""


@dataclass(frozen=True)
class Region:
    """One piece of work, in LR pixels: `area` is replaced, `crop` goes through the network.

    The crop starts on the window grid and holds `CONTEXT` around the area, less only where the
    picture ends. `faces` are those inside, largest first.
    """

    area: Box
    crop: Box
    faces: tuple[Face, ...]


def plan_regions(
    faces: Sequence[Face], height: int, width: int, crop_factor: float = 1.5, window: int = 8
) -> tuple[Region, ...]:
    """The regions of a picture of height x width for faces that lie inside it.

    An area is a face's box, `crop_factor` times as wide and high. Regions whose crops are nearly
    the same (intersection over union above a half) are merged, until none are. The result depends
    on the set of faces alone: their order, and a face that is there twice, change nothing.
    Raises InputError for a crop_factor under 1.
    """
    if not (math.isfinite(crop_factor) and crop_factor >= 1):
        raise InputError(f"crop_factor must be at least 1, got {crop_factor:g}")
    picture = Box(0, 0, height, width)
    groups = [([face], _area(face, crop_factor, picture)) for face in dict.fromkeys(faces)]
    while True:
        crops = [_crop(area, picture, window) for _, area in groups]
        labels = _components(crops)
        if len(set(labels)) == len(labels):
            break
        groups = _merged(groups, labels)
    regions = [
        Region(area, crop, tuple(sorted(members, key=lambda f: (-f.area, f.y0, f.x0))))
        for (members, area), crop in zip(groups, crops, strict=True)
    ]
    return tuple(sorted(regions, key=lambda r: (-r.area.area, r.area.y0, r.area.x0)))


def _area(face: Face, factor: float, picture: Box) -> Box:
    """The pixels of a box grown about its centre, fractions rounded outwards."""
    grow_x, grow_y = (factor - 1) / 2 * face.width, (factor - 1) / 2 * face.height
    return Box(
        math.floor(face.y0 - grow_y),
        math.floor(face.x0 - grow_x),
        math.ceil(face.y1 + grow_y),
        math.ceil(face.x1 + grow_x),
    ).clipped(picture)


def _crop(area: Box, picture: Box, window: int) -> Box:
    """The area with its context, out to the window grid; at the far borders, out to the picture."""
    return Box(
        max(0, area.y0 - CONTEXT) // window * window,
        max(0, area.x0 - CONTEXT) // window * window,
        min(picture.y1, round_up(area.y1 + CONTEXT, window)),
        min(picture.x1, round_up(area.x1 + CONTEXT, window)),
    )


def _merged(groups: list[tuple[list[Face], Box]], labels: list[int]) -> list:
    together: dict[int, tuple[list[Face], Box]] = {}
    for label, (members, area) in zip(labels, groups, strict=True):
        if label in together:
            others, hull = together[label]
            area = Box(
                min(hull.y0, area.y0),
                min(hull.x0, area.x0),
                max(hull.y1, area.y1),
                max(hull.x1, area.x1),
            )
            members = others + members
        together[label] = (members, area)
    return list(together.values())


def _components(crops: list[Box]) -> list[int]:
    """For each crop, the smallest index among those it is the same as, directly or through others.

    Whole chains at a time, not pair by pair: so the order cannot matter.
    """
    if not crops:
        return []
    boxes = np.array([(c.y0, c.x0, c.y1, c.x1) for c in crops], dtype=np.int64)
    same = _overlaps(boxes)
    labels = np.arange(len(crops))
    while True:
        least = np.where(same, labels[None, :], len(crops)).min(axis=1)
        if (least == labels).all():
            return labels.tolist()
        labels = least


def _overlaps(boxes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """N x 4 (y0, x0, y1, x1) -> N x N: whether intersection over union exceeds `_SAME`."""
    start = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    end = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(end - start, 0, None).prod(axis=-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=-1)
    union = areas[:, None] + areas[None, :] - shared
    return shared > _SAME * union
