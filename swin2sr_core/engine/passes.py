"""Runs one pass of a network over one image, as a plan says: whole or staged.

Both compute what the network computes on the whole image. The windows of a block are disjoint, so a
block rewrites the map in place, a band of windows at a time; a convolution and the head need a few
pixels of context around each piece, which are computed and thrown away. *whole* keeps two feature
maps on the compute device. *staged* keeps them in host memory and brings one region at a time, with
a margin as deep as one stage looks, so that the device holds a constant amount.

A pass that an error has ended can go on under another plan: finished stages, regions and pieces are
not computed again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..errors import NonFiniteError
from ..kernels.choice import chosen
from ..kernels.convolution import as_image, as_map
from ..kernels.kernel import BlockKernel
from ..network.config import Swin2SRConfig
from ..network.head_costs import HEAD_COSTS
from ..network.heads import HEADS
from ..network.network import image_mean
from ..network.padding import reflect_pad
from ..network.window_grid import MapRegion
from ..network.windows import Kinds, bands, merged, window_groups
from ..planning.costs import block_work, conv_reach, conv_work, head_work
from ..planning.pass_plan import PassPlan
from ..planning.strategies import Staged
from ..planning.tiles import Box, split
from ..prepared.folded import FoldedNetwork, FoldedStage
from .canvas import Canvas
from .ferry import HOST, Ferry

WindowGroups = dict[bool, list[tuple[Kinds, Tensor]]]
"""For plain and for shifted blocks: (kinds of mask, index of windows x tokens) pairs."""

Advance = Callable[[int], None]
"""Called after each piece of work with its size in floating-point operations; may raise."""

Finished = Callable[[Box], None]
"""Called with each rectangle of the output, in its own pixels, once it is there."""


class Pass:
    """One application of the network to B x C x H x W in 0..1, which is left as it is.

    Fills `output` (B x C x scale*H x scale*W, any device), roughly in 0..1. Feature maps
    are B x H x W x C here. What is kept from one call of `run` to the next, should an error end
    the first: the map that enters the next stage, and the boxes of a phase that are still to do.
    """

    def __init__(
        self,
        network: FoldedNetwork,
        image: Tensor,
        output: Canvas,
        advance: Advance,
        finished: Finished | None = None,
    ) -> None:
        self.network, self.output = network, output
        self.advance, self.finished = advance, finished
        self._source = image
        self._image: Tensor | None = None
        self._features: Tensor | None = None
        self._stage = 0
        self._adding: tuple[Tensor, list[Box]] | None = None
        """*whole*, once the map is being changed: what the convolution reads, and where to add."""
        self._following: tuple[Tensor, list[Box]] | None = None
        """*staged*: the map that leaves the stage, and which regions of it are missing."""
        self._head = [Box(0, 0, image.shape[-2], image.shape[-1])]

    @property
    def config(self) -> Swin2SRConfig:
        return self.network.config

    @torch.inference_mode()
    def run(self, plan: PassPlan) -> None:
        """Do all that is left to do as `plan`, *whole* or *staged*, says."""
        work = _Work(self.network, plan, self._normalised(), self.advance)
        home = HOST if isinstance(plan, Staged) else self.network.device
        if self._features is None:
            self._features = work.embedded(home)
        self._features = self._features.to(home)
        while self._stage < len(self.network.stages):
            stage = self.network.stages[self._stage]
            if isinstance(plan, Staged) and self._adding is None:
                self._run_in_regions(stage, work, plan)
            else:
                self._run_whole(stage, work)
            self._stage += 1
        work.release()
        _cut(self._head, plan.head_side)
        scale = self.config.scale
        for box in tuple(self._head):
            # No name for a piece: it would be kept while the next one is made.
            work.ferry.send(
                work.head_piece(self._features, box),
                self.output.device,
                partial(self._take_piece, plan, box),
            )
        work.ferry.settle()
        self.output.finish(self._source.shape[-2] * scale)

    def _take_piece(self, plan: PassPlan, box: Box, piece: Tensor) -> None:
        """Write what the head made of `box`, on the output's device."""
        scale = self.config.scale
        # pieces lie in rows, and those that were cut again within them
        self.output.finish(min(each.y0 for each in self._head) * scale)
        check_finite(piece)
        self.output.put(box.scaled(scale), piece)
        self._head.remove(box)
        self.advance(plan.batch * head_work(self.config) * box.area)
        if self.finished is not None:
            self.finished(box.scaled(scale))

    def remaining(self, plan: PassPlan) -> int:
        """About the work that is left if `plan` does the rest."""
        stages = [plan.stage_work(stage) for stage in range(self._stage, len(self.config.depths))]
        if stages and self._following is not None:
            missing = sum(box.area for box in self._following[1])
            stages[0] = stages[0] * missing // plan.bounds.area
        head = sum(box.area for box in self._head)
        return sum(stages) + plan.batch * head_work(self.config) * head

    def _normalised(self) -> Tensor:
        """The image, padded and with its mean taken off; on the caller's device."""
        if self._image is None:
            mean = image_mean(self.config).to(self._source.device)
            padded = reflect_pad(self._source.float(), self.config.window)
            self._image = (padded - mean) * self.config.img_range
        return self._image

    def _run_whole(self, stage: FoldedStage, work: _Work) -> None:
        x = self._map()
        if self._adding is None:
            y = torch.empty_like(x)
            work.run_blocks(stage, x, y, work.all_groups)
            self._adding = y, [work.plan.bounds]
        y, missing = self._adding
        self._adding = y.to(x.device), missing
        work.add_conv(stage, x, self._adding[0], missing, work.plan.bounds)
        self._adding = None

    def _run_in_regions(self, stage: FoldedStage, work: _Work, plan: Staged) -> None:
        x = self._map()
        if self._following is None:
            self._following = work.empty_map(HOST), [work.plan.bounds]
        following, missing = self._following
        _cut(missing, plan.region_side)

        def take(box: Box, piece: Tensor) -> None:
            following[:, box.rows, box.columns] = piece
            missing.remove(box)

        for box in tuple(missing):
            # No name for the result: it would keep this region's map alive in the next one.
            work.ferry.send(work.run_region(stage, x, box, plan), HOST, partial(take, box))
        work.ferry.settle()
        self._features, self._following = following, None

    def _map(self) -> Tensor:
        assert self._features is not None
        return self._features


class _Work:
    """What one run of a pass does, as its plan says; it remembers nothing of what is done."""

    def __init__(
        self, network: FoldedNetwork, plan: PassPlan, image: Tensor, advance: Advance
    ) -> None:
        self.network, self.plan, self.image, self.advance = network, plan, image, advance
        self.config = network.config
        self.ferry = Ferry(network.device)
        self._block_kernel: BlockKernel | None = None
        self._groups: WindowGroups | None = None

    def release(self) -> None:
        """Let go of what the blocks alone need."""
        self._block_kernel = self._groups = None

    # -- the body ------------------------------------------------------------------------------

    def run_blocks(self, stage: FoldedStage, x: Tensor, y: Tensor, groups: WindowGroups) -> None:
        """The blocks of `stage`: the first reads the map x and writes y, the others rewrite y."""
        source, target = x.flatten(0, 2), y.flatten(0, 2)
        kernel = self._kernel()
        for block in stage.blocks:
            for group in groups[block.shifted]:
                for kinds, band in bands(*group, self.plan.band_windows):
                    kernel.run(block, kinds, source, target, band)
                    self.advance(block_work(self.config) * band.numel())
            source = target

    def add_conv(
        self, stage: FoldedStage, x: Tensor, y: Tensor, missing: list[Box], bounds: Box
    ) -> None:
        """x += conv(y) in the boxes of `missing`; beyond `bounds` the convolution pads.

        A piece is crossed off as soon as it is added: whatever ends the run, it is added once.
        """
        add = chosen(self.network).add_conv
        _cut(missing, self.plan.conv_side)
        while missing:
            box = missing[0]
            add(stage.conv, y, x, box, bounds)
            del missing[0]
            self.advance(len(x) * conv_work(self.config) * box.area)

    def run_region(self, stage: FoldedStage, x: Tensor, box: Box, plan: Staged) -> Tensor:
        """The pixels of `box` (B H W C) after `stage`; x is brought over with a margin around."""
        region = plan.region_around(box)
        local = self.ferry.bring(x, region)
        scratch = torch.empty_like(local)
        self.run_blocks(stage, local, scratch, self.groups(region))
        inner = box.moved(-region.top, -region.left)
        bounds = self.plan.bounds.moved(-region.top, -region.left)
        self.add_conv(stage, local, scratch, [inner], bounds)
        return local[:, inner.rows, inner.columns]

    @property
    def all_groups(self) -> WindowGroups:
        """The windows of the whole map; made once, as they are the same in every stage."""
        if self._groups is None:
            bounds = self.plan.bounds
            self._groups = self.groups(MapRegion.whole(bounds.height, bounds.width))
        return self._groups

    def groups(self, region: MapRegion) -> WindowGroups:
        """The windows of plain and of shifted blocks, on the compute device."""
        window, shift, device = self.config.window, self.config.shift, self.network.device
        images = torch.arange(len(self.image), dtype=torch.int32) * region.height * region.width

        def of_all_images(kinds: Kinds, index: Tensor) -> tuple[Kinds, Tensor]:
            index = (images[:, None, None] + index).flatten(0, 1)
            if isinstance(kinds, Tensor):
                kinds = kinds.repeat(len(images)).to(device)
            return kinds, index.to(device)

        def groups_of(shift: int) -> list[tuple[Kinds, Tensor]]:
            groups = window_groups(region, window, shift)
            together = groups if device.type == "cpu" else [merged(groups)]
            return [of_all_images(*group) for group in together]

        return {False: groups_of(0), True: groups_of(shift)}

    # -- both ends -----------------------------------------------------------------------------

    def embedded(self, device: torch.device) -> Tensor:
        """The feature map that enters the first stage, on `device`."""
        x, bounds, side = self.empty_map(device), self.plan.bounds, self.plan.conv_side
        for box in split(bounds, side, side):
            context = box.grown(1, bounds)
            out = self.network.embed(self._image_at(context))
            piece = as_map(out, box.relative_to(context)).contiguous()
            place = x[:, box.rows, box.columns]
            self.ferry.send(self.network.embed_norm(piece), device, place.copy_)
        self.ferry.settle()
        return x

    def head_piece(self, features: Tensor, box: Box) -> Tensor:
        """B C h w on the device: the output pixels that belong to `box`, roughly in 0..1."""
        network, config = self.network, self.config
        head = HEADS[config.head]
        context = box.grown(HEAD_COSTS[config.head].reach + conv_reach(config), self.plan.bounds)
        image = self._image_at(context)
        piece = features[:, context.rows, context.columns]
        if features.device != network.device:
            piece = self.ferry.bring(features, _region_of(context, self.plan.bounds))
        whole = context.relative_to(context)
        # In float32, as what is rounded here is seen in the output.
        x = as_map(network.conv_first(image), whole).contiguous()
        add = chosen(network).add_conv
        add(network.conv_after_body, network.norm(piece), x, whole, whole)
        del piece
        x = x.to(next(network.head.parameters()).dtype)
        out = head.run(network.head, as_image(x), image)
        target = box.scaled(config.scale)
        source = target.relative_to(context.scaled(config.scale))
        return out[..., source.rows, source.columns].div_(config.img_range).add_(network.mean)

    # -- pieces --------------------------------------------------------------------------------

    def empty_map(self, device: torch.device) -> Tensor:
        """B H W C of the padded image, its content left to chance."""
        plan = self.plan
        shape = (len(self.image), plan.padded_height, plan.padded_width, self.config.embed_dim)
        return torch.empty(shape, dtype=self.network.dtype, device=device)

    def _kernel(self) -> BlockKernel:
        if self._block_kernel is None:
            self._block_kernel = chosen(self.network).make(self.plan.band_windows)
        return self._block_kernel

    def _image_at(self, box: Box) -> Tensor:
        return self.image[..., box.rows, box.columns].to(self.network.device)


def check_finite(out: Tensor) -> None:
    """Raises NonFiniteError: one NaN or infinity among the values makes their sum one."""
    if not math.isfinite(out.sum()):
        raise NonFiniteError.saying(
            "not_finite", "the network gives NaN or infinite values for this picture"
        )


def _cut(boxes: list[Box], side: int) -> None:
    """Replace the boxes by pieces of at most side x side."""
    boxes[:] = [piece for box in boxes for piece in split(box, side, side)]


def _region_of(box: Box, bounds: Box) -> MapRegion:
    return MapRegion(box.y0, box.x0, box.height, box.width, bounds.height, bounds.width)
