"""Runs one pass of a network over one image, as a plan says: whole or staged.

Both compute what the network computes on the whole image. The windows of a block are disjoint, so a
block rewrites the map in place, a band of windows at a time; a convolution and the head need a few
pixels of context around each piece, which are computed and thrown away. *whole* keeps two feature
maps on the compute device. *staged* keeps them in host memory and brings one region at a time, with
a margin as deep as one stage looks, so that the device holds a constant amount.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .bands import Workspace, run_block
from .config import Swin2SRConfig
from .costs import block_work, conv_reach, conv_work, head_work
from .errors import NonFiniteError
from .folding import FoldedNetwork, FoldedStage
from .heads import HEADS
from .padding import reflect_pad
from .plan import PassPlan
from .tiles import Box, split
from .windows import MapRegion, window_groups

WindowGroups = dict[bool, list[tuple[int, Tensor]]]
"""For plain and for shifted blocks: (kind of mask, index of windows x tokens) pairs."""

Advance = Callable[[int], None]
"""Called after each piece of work with its size in floating-point operations; may raise."""


@dataclass(frozen=True)
class Pass:
    """One application of the network to one image of 1 x C x H x W in 0..1."""

    network: FoldedNetwork
    plan: PassPlan
    image: Tensor
    advance: Advance

    @classmethod
    def prepare(
        cls, network: FoldedNetwork, plan: PassPlan, image: Tensor, advance: Advance
    ) -> Pass:
        """Pad and normalise `image` (left as it is) for the network."""
        mean = network.mean.to(image.device)
        padded = reflect_pad(image.float(), network.config.window)
        return cls(network, plan, (padded - mean) * network.config.img_range, advance)

    @torch.inference_mode()
    def run(self, output: Tensor) -> None:
        """Fill `output` (1 x C x scale*H x scale*W, float32, any device), roughly in 0..1."""
        features = self._staged_body() if self.plan.strategy == "staged" else self._whole_body()
        picture = Box(0, 0, self.plan.height, self.plan.width)
        for box in split(picture, self.plan.strip_side, self.plan.strip_side):
            self._head_piece(features, box, output)
            self.advance(head_work(self.config) * box.area)

    @property
    def config(self) -> Swin2SRConfig:
        return self.network.config

    # -- the body ------------------------------------------------------------------------------

    def _whole_body(self) -> Tensor:
        x = self._embedded(self.network.device)
        ((box, region),) = self.plan.regions()
        groups = self._groups(region)
        memory = self._workspace()
        y = torch.empty_like(x)
        for stage in self.network.stages:
            self._run_blocks(stage, x, y, groups, memory)
            self._add_conv(stage, x, y, box, box)
        return x

    def _staged_body(self) -> Tensor:
        host = torch.device("cpu")
        x, following = self._embedded(host), self._empty_map(host)
        memory = self._workspace()
        for stage in self.network.stages:
            for box, region in self.plan.regions():
                # No name for the result: it would keep this region's map alive in the next one.
                following[box.rows, box.columns] = self._run_region(
                    stage, x, box, region, memory
                ).to(host)
            x, following = following, x
        return x

    def _run_region(
        self, stage: FoldedStage, x: Tensor, box: Box, region: MapRegion, memory: Workspace
    ) -> Tensor:
        """The pixels of `box` (H W C) after `stage`; x is brought over with a margin around it."""
        local = cyclic_crop(x, region).to(self.network.device)
        scratch = torch.empty_like(local)
        self._run_blocks(stage, local, scratch, self._groups(region), memory)
        inner = box.moved(-region.top, -region.left)
        bounds = self.plan.bounds.moved(-region.top, -region.left)
        self._add_conv(stage, local, scratch, inner, bounds)
        return local[inner.rows, inner.columns]

    def _run_blocks(
        self, stage: FoldedStage, x: Tensor, y: Tensor, groups: WindowGroups, memory: Workspace
    ) -> None:
        """The blocks of `stage`: the first reads the map x and writes y, the others rewrite y."""
        source, target = x.flatten(0, 1), y.flatten(0, 1)
        for block in stage.blocks:
            for kind, index in groups[block.shifted]:
                bands = index.split(memory.band_windows)
                memory.prepare_bias(block.attention, kind)
                for band in bands:
                    windows = run_block(block, memory.gather(source, band), memory)
                    target.index_copy_(0, band.flatten().long(), windows)
                    self.advance(block_work(self.config) * band.numel())
            source = target

    def _add_conv(self, stage: FoldedStage, x: Tensor, y: Tensor, inner: Box, bounds: Box) -> None:
        """x += conv(y) inside `inner`; beyond `bounds` the convolution sees zeros."""
        for box in split(inner, self.plan.conv_side, self.plan.conv_side):
            context = box.grown(conv_reach(self.config), bounds)
            out = stage.conv(as_image(y[context.rows, context.columns]))
            x[box.rows, box.columns] += as_map(out, box.relative_to(context))
            self.advance(conv_work(self.config) * box.area)

    # -- both ends -----------------------------------------------------------------------------

    def _embedded(self, device: torch.device) -> Tensor:
        """The feature map (H W C) that enters the first stage, on `device`."""
        x = self._empty_map(device)
        for box in split(self.plan.bounds, self.plan.conv_side, self.plan.conv_side):
            context = box.grown(1, self.plan.bounds)
            out = self.network.embed(self._image_at(context))
            piece = as_map(out, box.relative_to(context)).contiguous()
            x[box.rows, box.columns] = self.network.embed_norm(piece).to(device)
        return x

    def _head_piece(self, features: Tensor, box: Box, output: Tensor) -> None:
        """Reconstruct the output pixels that belong to `box` and write them into `output`."""
        network, config = self.network, self.config
        head = HEADS[config.head]
        context = box.grown(head.reach + conv_reach(config), self.plan.bounds)
        x = features[context.rows, context.columns].to(network.device)
        image = self._image_at(context)
        x = network.conv_after_body(as_image(network.norm(x)))
        x += network.conv_first(image)
        out = head.run(network.head, x, image)
        target = box.scaled(config.scale)
        source = target.relative_to(context.scaled(config.scale))
        out = out[..., source.rows, source.columns].div_(config.img_range).add_(network.mean)
        if not math.isfinite(out.sum()):  # one NaN or infinity among the values makes it one
            raise NonFiniteError("the network gives NaN or infinite values for this picture")
        output[..., target.rows, target.columns] = out.to(output.device)

    # -- pieces --------------------------------------------------------------------------------

    def _workspace(self) -> Workspace:
        plan, network = self.plan, self.network
        return Workspace(self.config, plan.band_windows, network.dtype, network.device)

    def _empty_map(self, device: torch.device) -> Tensor:
        shape = (self.plan.padded_height, self.plan.padded_width, self.config.embed_dim)
        pinned = device.type == "cpu" and self.network.device.type == "cuda"
        return torch.empty(shape, dtype=self.network.dtype, device=device, pin_memory=pinned)

    def _image_at(self, box: Box) -> Tensor:
        return self.image[..., box.rows, box.columns].to(self.network.device)

    def _groups(self, region: MapRegion) -> WindowGroups:
        """The windows of plain and of shifted blocks, as indices on the compute device."""
        window, shift, device = self.config.window, self.config.shift, self.network.device
        return {
            shifted: [
                (kind, index.to(device))
                for kind, index in window_groups(region, window, shift if shifted else 0)
            ]
            for shifted in (False, True)
        }


def as_image(feature_map: Tensor) -> Tensor:
    """H W C -> 1 C H W, in channels-last memory: a view."""
    return feature_map.permute(2, 0, 1).unsqueeze(0)


def as_map(image: Tensor, box: Box) -> Tensor:
    """1 C H W -> the H W C view of `box`; the inverse of `as_image` when box is all of it."""
    return image[0].permute(1, 2, 0)[box.rows, box.columns]


def cyclic_crop(feature_map: Tensor, region: MapRegion) -> Tensor:
    """H W C -> the region's H W C, contiguous, wrapping around at the map's borders."""
    rows = (torch.arange(region.height) + region.top) % region.map_height
    columns = (torch.arange(region.width) + region.left) % region.map_width
    return feature_map[rows.to(feature_map.device)[:, None], columns.to(feature_map.device)]
