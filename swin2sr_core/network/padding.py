"""Reflect padding to a multiple of the window, at the bottom and right, and its inverse."""

from __future__ import annotations

import torch
from torch import Tensor

from .window_grid import round_up


def reflect_pad(image: Tensor, multiple: int) -> Tensor:
    """B C H W -> B C H' W', reflected without repeating the border pixel, as often as is needed.

    Unlike `torch.nn.functional.pad` this takes any size: a 1-pixel axis repeats its pixel.
    """
    height, width = image.shape[-2:]
    rows = _reflected(height, round_up(height, multiple))
    columns = _reflected(width, round_up(width, multiple))
    if len(rows) != height:
        image = image.index_select(-2, rows.to(image.device))
    if len(columns) != width:
        image = image.index_select(-1, columns.to(image.device))
    return image


def reflected_part(image: Tensor, rows: slice, columns: slice, multiple: int) -> Tensor:
    """These rows and columns of what `reflect_pad` gives, without making all of it."""
    height, width = image.shape[-2:]
    if rows.stop > height:
        image = image.index_select(-2, _part(height, rows, multiple).to(image.device))
        rows = slice(None)
    if columns.stop > width:
        image = image[..., rows, :]
        image = image.index_select(-1, _part(width, columns, multiple).to(image.device))
        rows = columns = slice(None)
    return image[..., rows, columns]


def _part(size: int, part: slice, multiple: int) -> Tensor:
    return _reflected(size, round_up(size, multiple))[part]


def crop(image: Tensor, height: int, width: int) -> Tensor:
    """B C H' W' -> B C height width, from the top left; the inverse of `reflect_pad`."""
    return image[..., :height, :width]


def _reflected(size: int, target: int) -> Tensor:
    """`target` indices into 0..size-1 that run up and down: 0 1 2 1 0 1 2 ... for size 3."""
    if size == 1:
        return torch.zeros(target, dtype=torch.long)
    period = 2 * (size - 1)
    position = torch.arange(target) % period
    return torch.where(position < size, position, period - position)
