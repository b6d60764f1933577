"""The *tiled* strategy: tiles with context, each run on its own and blended into the output.

Not exact, unlike the others: a pixel near a tile's edge misses what lies beyond it. Tiles start on
the window grid, the outermost quarter of each overlap is computed and thrown away, and a smooth
partition of unity blends the half in the middle.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..models.model import Network
from ..network.padding import reflected_part
from ..planning.pass_plan import PassPlan
from ..planning.strategies import Tiled, Whole
from ..planning.tiles import Box, TileAxis
from ..prepared.folded import FoldedNetwork
from .canvas import Canvas, WholeCanvas
from .passes import Advance, Finished, Pass, check_finite

_EDGE_WEIGHT = 0.2
"""What the Gaussian has fallen to at a tile's edge, from 1 at its centre."""


class TiledPass:
    """One application of the network to 1 x C x H x W in 0..1, tile by tile, into `output`.

    Can be run again like `Pass`. Finished tiles stay, as long as the new plan has the same ones.
    """

    def __init__(
        self,
        network: Network,
        image: Tensor,
        output: Canvas,
        advance: Advance,
        finished: Finished | None = None,
    ) -> None:
        self.network, self.image, self.output = network, image, output
        self.advance, self.finished = advance, finished
        self._tiles: list[Box] = []
        self._missing: list[Box] = []

    @torch.inference_mode()
    def run(self, plan: PassPlan) -> None:
        """Do all that is left to do as `plan`, a *tiled* one, says."""
        assert isinstance(plan, Tiled)
        if self._tiles != plan.tiles:
            self.output.clear()
            self._tiles, self._missing = plan.tiles, plan.tiles
        scale, device = plan.config.scale, self.network.device
        down, across = (
            blend_weights(axis, plan.overlap, scale, plan.blend).to(device)
            for axis in (plan.tile_rows, plan.tile_columns)
        )
        tile_plan = plan.tile_plan
        while True:
            top = self._missing[0].y0 * scale if self._missing else self.output.shape[2]
            self.output.finish(top)
            if not self._missing:
                return
            boxes = self._missing[: tile_plan.batch]
            pictures = self._run_tiles(tile_plan, boxes)
            for box, weighted in zip(boxes, pictures, strict=True):
                weighted *= down[plan.tile_rows.starts.index(box.y0)][:, None]
                weighted *= across[plan.tile_columns.starts.index(box.x0)]
            self._add(boxes, pictures)
            weighted = pictures = None  # or they would be there while the next ones are made

    def remaining(self, plan: PassPlan) -> int:
        """The work that is left if `plan` does the rest."""
        assert isinstance(plan, Tiled)
        left = len(self._missing) if self._tiles == plan.tiles else len(plan.tiles)
        return plan.work // len(plan.tiles) * left

    def _run_tiles(self, plan: Whole, boxes: list[Box]) -> Tensor:
        """tiles x C x h x w: the network on each tile, as if it were an image of its own."""
        channels, scale = self.output.shape[1], plan.config.scale
        shape = (len(boxes), channels, plan.height * scale, plan.width * scale)
        pictures = torch.empty(shape, device=self.network.device)
        window = plan.config.window
        tiles = torch.cat(
            [reflected_part(self.image, box.rows, box.columns, window) for box in boxes]
        ).float()
        if isinstance(self.network, FoldedNetwork):
            Pass(self.network, tiles, WholeCanvas(pictures), self.advance).run(
                replace(plan, batch=len(boxes))
            )
            return pictures
        pictures = self.network.run(tiles)
        check_finite(pictures)
        self.advance(plan.work // plan.batch * len(boxes))
        return pictures

    def _add(self, boxes: list[Box], pictures: Tensor) -> None:
        """Add the weighted tiles to the output, and cross them off. Nothing here takes memory."""
        scale = self.network.config.scale
        bounds = Box(0, 0, self.output.shape[2], self.output.shape[3])
        pictures = pictures.to(self.output.device)
        for box, picture in zip(boxes, pictures, strict=True):
            target = box.scaled(scale).clipped(bounds)
            kept = picture[..., : target.height, : target.width]
            self.output.add(target, kept[None])
            self._missing = self._missing[1:]
            if self.finished is not None:
                self.finished(target)


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
