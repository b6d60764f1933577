"""Antialiased resizing of pictures to an output size that the network's scale does not give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

_SHARPNESS = -0.5
_REACH = 2.0
"""Of the bicubic kernel, in pixels of the smaller picture (Keys, 1981)."""


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """B C H W -> B C height width by bicubic interpolation, antialiased where it reduces."""
    if image.shape[-2:] == (height, width):
        return image
    import torch.nn.functional as F  # here, so that sizes can be planned without it

    return F.interpolate(
        image, size=(height, width), mode="bicubic", align_corners=False, antialias=True
    )


def resized_rows(bands: Iterable[Tensor], rows: int, height: int, width: int) -> Iterator[Tensor]:
    """Bands of a picture of B C rows W, from the top, to bands of B C height width, reduced.

    Gives what `resize` gives of the whole, to float rounding, and holds the rows alone that the
    next ones are made of.
    """
    import torch

    waiting: Tensor | None = None
    first = made = 0  # the row that `waiting` begins with; rows of the result that have left
    seen = 0
    for band in bands:
        seen += band.shape[2]
        narrow = resize(band, band.shape[2], width)
        waiting = narrow if waiting is None else torch.cat([waiting, narrow], dim=2)
        last = _rows_within(seen, rows, height)
        if last == made:
            continue
        start, weights = _row_weights(made, last, rows, height)
        window = waiting[:, :, start - first : start - first + weights.shape[1]]
        matrix = torch.from_numpy(weights).to(window.device, window.dtype)
        yield torch.matmul(matrix, window)
        made = last
        keep = _span(made, rows, height)[0] if made < height else rows
        waiting, first = waiting[:, :, keep - first :].clone(), keep


def _span(row: int, rows: int, height: int) -> tuple[int, int]:
    """The first row, and the one behind the last, of which a row of the result is made."""
    ratio = rows / height
    center, reach = ratio * (row + 0.5), _REACH * max(ratio, 1.0)
    return max(int(center - reach + 0.5), 0), min(int(center + reach + 0.5), rows)


def _rows_within(seen: int, rows: int, height: int) -> int:
    """How many rows of the result can be made of the first `seen` rows."""
    if seen >= rows:
        return height
    low, high = 0, height
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if _span(middle, rows, height)[1] <= seen else (low, middle)
    return low


def _row_weights(first: int, last: int, rows: int, height: int) -> tuple[int, np.ndarray]:
    """The row that the matrix begins with; (last - first) x rows of the source."""
    start, end = _span(first, rows, height)[0], _span(last - 1, rows, height)[1]
    ratio = rows / height
    result = np.zeros((last - first, end - start), np.float64)
    for row in range(first, last):
        low, high = _span(row, rows, height)
        distance = (np.arange(low, high) + 0.5 - ratio * (row + 0.5)) / max(ratio, 1.0)
        weights = _bicubic(np.abs(distance))
        result[row - first, low - start : high - start] = weights / weights.sum()
    return start, result


def _bicubic(distance: np.ndarray) -> np.ndarray:
    a, x = _SHARPNESS, distance
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < _REACH, far, 0.0))
