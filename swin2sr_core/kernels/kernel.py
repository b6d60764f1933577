"""What every kernel is: a block over a map and an index of windows, in place, a band at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from ..network.windows import Kinds
    from ..prepared.folded import FoldedBlock

REFERENCE = "reference"
"""The name of the kernel in PyTorch, which every device and precision has."""


class BlockKernel(Protocol):
    """Runs blocks of one network, on the device that the network is on.

    `name` is what reports say. One kernel serves one run: it may hold memory for its bands.
    """

    @property
    def name(self) -> str: ...

    def run(
        self, block: FoldedBlock, kinds: Kinds, source: Tensor, target: Tensor, band: Tensor
    ) -> None:
        """Apply `block` to the windows of `band`, each with the mask of its kind.

        `source` and `target` are maps, (B H W) x C, and may be the same; `band` is windows x tokens
        of int32, rows of both. Rows that are not in it are left alone. On a CPU the windows of a
        band are all of one kind.
        """
        ...
