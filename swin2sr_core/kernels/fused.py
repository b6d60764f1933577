"""A whole block in one call of the compiled library, window by window, on its own threads."""

from __future__ import annotations

import torch
from torch import Tensor

from ..prepared.folded import FoldedBlock
from .library import NativeKernel
from .packing import PackedBlock, pack


class FusedKernel:
    """See `kernel.BlockKernel`. Threads are as many as torch's; they change no bit."""

    def __init__(self, native: NativeKernel) -> None:
        self.native = native

    @property
    def name(self) -> str:
        return self.native.name

    def run(
        self, block: FoldedBlock, kind: int, source: Tensor, target: Tensor, band: Tensor
    ) -> None:
        """See `BlockKernel.run`. Raises MemoryError."""
        assert source.is_contiguous() and target.is_contiguous() and band.dtype == torch.int32
        index = band.contiguous()
        self.native.run(
            self.packed(block).arguments[kind],
            source.data_ptr(),
            target.data_ptr(),
            index.data_ptr(),
            len(index),
            torch.get_num_threads(),
        )

    def packed(self, block: FoldedBlock) -> PackedBlock:
        """Its weights as the library wants them: made once, and dropped with the weights."""
        if self.name not in block.derived:
            block.derived[self.name] = pack(block, self.native)
        return block.derived[self.name]
