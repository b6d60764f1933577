"""A whole block, or a convolution, in one call of the compiled library, on its own threads."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import Swin2SRError
from ..network.windows import Kinds
from ..planning.tiles import Box
from ..prepared.folded import FoldedBlock, MapConv
from .convolution import add_conv
from .library import BoxArguments, NativeKernel, Place
from .packing import PackedBlock, PackedConv, can_convolve, narrow_type, pack, pack_conv


class FusedKernel:
    """See `kernel.BlockKernel`. Threads are as many as torch's; they change no bit."""

    def __init__(self, native: NativeKernel) -> None:
        self.native = native

    @property
    def name(self) -> str:
        return self.native.name

    def run(
        self, block: FoldedBlock, kinds: Kinds, source: Tensor, target: Tensor, band: Tensor
    ) -> None:
        """See `BlockKernel.run`. Raises MemoryError."""
        assert isinstance(kinds, int)
        assert source.is_contiguous() and target.is_contiguous() and band.dtype == torch.int32
        assert source.dtype == target.dtype == narrow_type(self.native)
        index = band.contiguous()
        self.native.run(
            self.packed(block).arguments[kinds],
            source.data_ptr(),
            target.data_ptr(),
            index.data_ptr(),
            len(index),
            torch.get_num_threads(),
        )

    def add_conv(
        self, conv: MapConv, source: Tensor, target: Tensor, box: Box, bounds: Box
    ) -> None:
        """See `convolution.AddConv`; in PyTorch what the library does not have."""
        if not can_convolve(conv):
            return add_conv(conv, source, target, box, bounds)
        assert source.is_contiguous() and target.is_contiguous()
        own = narrow_type(self.native)
        assert source.dtype == own and target.dtype in (own, torch.float32)
        packed = self.packed_conv(conv, target.dtype == torch.float32)
        place = Place(target.shape[2], _arguments(box), _arguments(bounds))
        for image, added in zip(source, target, strict=True):
            try:
                self.native.convolve(
                    packed.arguments,
                    place,
                    image.data_ptr(),
                    added.data_ptr(),
                    torch.get_num_threads(),
                )
            except MemoryError as error:  # no part may be added twice
                raise Swin2SRError("memory ran out while a feature map was changed") from error
        return None

    def packed_conv(self, conv: MapConv, to_floats: bool) -> PackedConv:
        """As `packed`; for a target in float32, or else in the source's type."""
        key = f"{self.name} to floats" if to_floats else self.name
        if key not in conv.derived:
            conv.derived[key] = pack_conv(conv, self.native, to_floats)
        return conv.derived[key]

    def packed(self, block: FoldedBlock) -> PackedBlock:
        """Its weights as the library wants them: made once, and dropped with the weights."""
        if self.name not in block.derived:
            block.derived[self.name] = pack(block, self.native)
        return block.derived[self.name]


def _arguments(box: Box) -> BoxArguments:
    return BoxArguments(box.y0, box.x0, box.y1, box.x1)
