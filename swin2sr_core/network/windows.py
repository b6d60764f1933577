"""Windows on a feature map: partition and merge, shift and masks, relative position bias.

The map is a torus here: a shifted block rolls it by half a window, so its last window row holds
the map's last rows and, wrapped around, its first. The same index arithmetic serves the whole map
and a region cut from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import repeat

import torch
from einops import rearrange
from torch import Tensor, nn

from .window_grid import MapRegion, axis_count

PLAIN, RIGHT, BOTTOM, CORNER = range(4)
"""Kinds of shifted windows: which of the map's borders runs through the window's middle."""

Kinds = int | Tensor
"""Of a group of windows: the kind of all, or int32 of each."""


def partition(feature_map: Tensor, window: int) -> Tensor:
    """B H W C -> (B windows) tokens C; the inverse of `merge`."""
    return rearrange(feature_map, "b (y h) (x w) c -> (b y x) (h w) c", h=window, w=window)


def merge(windows: Tensor, window: int, height: int, width: int) -> Tensor:
    """(B windows) tokens C -> B H W C; the inverse of `partition`."""
    rows, columns = height // window, width // window
    return rearrange(
        windows, "(b y x) (h w) c -> b (y h) (x w) c", y=rows, x=columns, h=window, w=window
    )


def window_groups(region: MapRegion, window: int, shift: int) -> list[tuple[int, Tensor]]:
    """The windows of one block on `region`, grouped by the mask they need.

    Each item is (kind, index): index is int32, windows x tokens, and addresses the rows of the
    region's map flattened to (height*width) x C. The windows of all groups are disjoint. Without a
    shift every window is `PLAIN`.
    """
    rows, seam_row = _axis_windows(region.top, region.height, region.map_height, window, shift)
    columns, seam_column = _axis_windows(region.left, region.width, region.map_width, window, shift)
    index = rows[:, None, :, None] * region.width + columns[None, :, None, :]
    index = rearrange(index, "y x h w -> y x (h w)")
    kind = seam_row[:, None].int() * BOTTOM + seam_column[None, :].int() * RIGHT
    groups = [(k, index[kind == k]) for k in (PLAIN, RIGHT, BOTTOM, CORNER)]
    return [(k, group) for k, group in groups if len(group)]


def merged(groups: list[tuple[int, Tensor]]) -> tuple[Kinds, Tensor]:
    """The groups as one, so that a graphics card is not asked for each of them.

    Three of a shifted block's four are no more than a row, a column and a corner of windows.
    """
    if len(groups) == 1:
        return groups[0]
    kinds = [torch.full((len(index),), kind, dtype=torch.int32) for kind, index in groups]
    return torch.cat(kinds), torch.cat([index for _, index in groups])


def bands(kinds: Kinds, index: Tensor, windows: int) -> Iterator[tuple[Kinds, Tensor]]:
    """A group in parts of at most that many windows."""
    parts = kinds.split(windows) if isinstance(kinds, Tensor) else repeat(kinds)
    return zip(parts, index.split(windows), strict=False)


def _axis_windows(
    start: int, size: int, map_size: int, window: int, shift: int
) -> tuple[Tensor, Tensor]:
    """Per window along one axis: its local coordinates, and whether the seam cuts it."""
    count = axis_count(size, map_size, window, shift)
    first = torch.arange(count, dtype=torch.int32) * window + shift
    local = (first[:, None] + torch.arange(window, dtype=torch.int32)) % size
    seam = (start + first + window - shift) % map_size == 0
    return local, seam if shift else torch.zeros(count, dtype=torch.bool)


def attention_masks(window: int, shift: int, offset: float = -100.0) -> Tensor:
    """4 x tokens x tokens, by kind: `offset` between pixels of unrelated regions, else 0."""
    far = (torch.arange(window) >= window - shift).long()
    row = far.repeat_interleave(window)
    column = far.repeat(window)
    labels = torch.stack([torch.zeros_like(row), column, 2 * row, 2 * row + column])
    return offset * (labels[:, :, None] != labels[:, None, :]).float()


def relative_coordinates(window: int) -> Tensor:
    """(2*window-1)**2 x 2: log-spaced relative offsets in -1..1 times 8 (Swin V2, section 3.3)."""
    steps = torch.arange(1 - window, window, dtype=torch.float32) / max(window - 1, 1) * 8
    steps = steps.sign() * torch.log2(steps.abs() + 1) / math.log2(8)
    return torch.cartesian_prod(steps, steps)


def relative_index(window: int) -> Tensor:
    """tokens x tokens: the row of `relative_coordinates` that belongs to each pair of tokens."""
    row, column = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    token = torch.stack([row.flatten(), column.flatten()])
    delta = token[:, :, None] - token[:, None, :] + window - 1
    return delta[0] * (2 * window - 1) + delta[1]


def position_table(cpb_mlp: nn.Module, window: int) -> Tensor:
    """(2*window-1)**2 x heads: 16 * sigmoid(cpb_mlp(offset)) (Swin V2, equation 3)."""
    return 16 * torch.sigmoid(cpb_mlp(relative_coordinates(window).to(next(cpb_mlp.parameters()))))


def position_bias(cpb_mlp: nn.Module, window: int) -> Tensor:
    """heads x tokens x tokens: what `position_table` has for each pair of tokens."""
    table = position_table(cpb_mlp, window)
    return rearrange(table[relative_index(window).to(table.device)], "i j heads -> heads i j")
