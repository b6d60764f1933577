"""Masks as regions: the connected pieces of a mask, and which faces a mask means."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .face import Face

THRESHOLD = 0.5
"""From here on a pixel of a mask counts as painted."""


def mask_blobs(mask: Tensor) -> list[Face]:
    """The boxes of the connected pieces of a mask, H W in 0..1; pixels touch at corners, too.

    Their score is 1, and they have no landmarks. A mask of nothing gives an empty list.
    """
    painted = (mask >= THRESHOLD).cpu().numpy()
    rows, starts, ends = _runs(painted)
    if not len(rows):
        return []
    labels = _joined(rows, starts, ends)
    boxes = []
    for label in np.unique(labels):
        own = labels == label
        x0, x1 = float(starts[own].min()), float(ends[own].max())
        boxes.append(Face(x0, float(rows[own].min()), x1, float(rows[own].max() + 1)))
    return boxes


def touches_mask(face: Face, mask: Tensor) -> bool:
    """Whether a mask, H W, is painted anywhere in the middle of a face (half its width and height).

    A dab on a face means that face, and a whole person painted means his or hers; that a
    neighbour's mask reaches into the corner of a box means nothing.
    """
    height, width = mask.shape
    inner_x, inner_y = face.width / 4, face.height / 4
    y0, y1 = _span(face.y0 + inner_y, face.y1 - inner_y, height)
    x0, x1 = _span(face.x0 + inner_x, face.x1 - inner_x, width)
    return bool(torch.any(mask[y0:y1, x0:x1] >= THRESHOLD))


def _span(start: float, end: float, bound: int) -> tuple[int, int]:
    first = min(max(int(start), 0), bound - 1)
    return first, min(max(round(end), first + 1), bound)


def _runs(painted: NDArray[np.bool_]) -> tuple[NDArray[np.intp], ...]:
    """Rows, starts and ends (exclusive) of the horizontal runs, from the top left onwards."""
    height, _ = painted.shape
    padded = np.zeros((height, painted.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = painted
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return rows, starts, ends


def _joined(
    rows: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> NDArray[np.intp]:
    """A label for every run: runs in neighbouring rows that touch have the same (union-find)."""
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first = np.searchsorted(rows, rows + 1)  # where the next row's runs begin
    last = np.searchsorted(rows, rows + 1, side="right")
    for index in range(len(rows)):
        for other in range(first[index], last[index]):
            if starts[other] > ends[index]:
                break
            if ends[other] >= starts[index]:
                parent[root(other)] = root(index)
    return np.array([root(index) for index in range(len(rows))])
