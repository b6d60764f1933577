"""The *tiled* strategy: tiles with context, each run on its own and blended into the output.

Not exact, unlike the others: a pixel near a tile's edge misses what lies beyond it. Tiles start on
the window grid, the outermost quarter of each overlap is computed and thrown away, and a smooth
partition of unity blends the half in the middle.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .engine import Advance, Pass
from .folding import FoldedNetwork
from .padding import reflect_pad
from .plan import PassPlan
from .tiles import Box, TileAxis

_EDGE_WEIGHT = 0.2
"""What the Gaussian has fallen to at a tile's edge, from 1 at its centre."""


@torch.inference_mode()
def run_tiles(
    network: FoldedNetwork, plan: PassPlan, image: Tensor, output: Tensor, advance: Advance
) -> None:
    """Fill `output` (1 x C x scale*H x scale*W, float32) from `image` (1 x C x H x W in 0..1)."""
    rows, columns, tile_plan = plan.tile_rows, plan.tile_columns, plan.tile_plan
    scale, device = plan.config.scale, network.device
    padded = reflect_pad(image.float(), plan.config.window)
    down = blend_weights(rows, plan.overlap, scale, plan.blend).to(device)
    across = blend_weights(columns, plan.overlap, scale, plan.blend).to(device)
    bounds = Box(0, 0, output.shape[-2], output.shape[-1])
    output.zero_()
    for top, weight_down in zip(rows.starts, down, strict=True):
        for left, weight_across in zip(columns.starts, across, strict=True):
            box = Box(top, left, top + rows.size, left + columns.size)
            tile = torch.empty(
                (1, output.shape[1], rows.size * scale, columns.size * scale), device=device
            )
            piece = padded[..., box.rows, box.columns]
            Pass.prepare(network, tile_plan, piece, advance).run(tile)
            tile *= weight_down[:, None]
            tile *= weight_across
            target = box.scaled(scale).clipped(bounds)
            kept = tile[..., : target.height, : target.width]
            output[..., target.rows, target.columns] += kept.to(output.device)


def blend_weights(axis: TileAxis, overlap: int, scale: int, blend: str) -> Tensor:
    """tiles x (size*scale): how much each tile counts at each of its HR pixels.

    At every pixel of the axis the weights of all tiles sum to one. Where a tile ends inside the
    image, its outermost quarter of the overlap counts nothing.
    """
    size, count = axis.size * scale, len(axis.starts)
    end = axis.starts[-1] * scale + size
    weights = torch.empty(count, size, dtype=torch.float64)
    total = torch.zeros(end, dtype=torch.float64)
    for index, start in enumerate(axis.starts):
        inside = (index > 0, index < count - 1)
        weights[index] = _profile(size, overlap * scale, blend, *inside)
        total[start * scale : start * scale + size] += weights[index]
    for index, start in enumerate(axis.starts):
        weights[index] /= total[start * scale : start * scale + size]
    return weights.float()


def _profile(size: int, overlap: int, blend: str, inside_start: bool, inside_end: bool) -> Tensor:
    """One tile's weight before normalisation: zero in the context, a ramp, then the plateau."""
    position = torch.arange(size, dtype=torch.float64) + 0.5
    weight = torch.ones(size, dtype=torch.float64)
    for distance, inside in ((position, inside_start), (size - position, inside_end)):
        if inside and overlap:
            ramp = ((distance - overlap / 4) / (overlap / 2)).clamp(0, 1)
            if blend != "linear":
                ramp = 0.5 - 0.5 * torch.cos(math.pi * ramp)
            weight = weight * ramp
    if blend == "gaussian":
        centred = (position - size / 2) / (size / 2)
        weight = weight * torch.exp(centred.square() * math.log(_EDGE_WEIGHT))
    return weight
