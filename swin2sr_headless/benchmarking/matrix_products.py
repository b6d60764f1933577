"""The matrix products of an upscale alone: what no engine around them can be faster than.

A run is watched once, and every call of a linear layer or a convolution written down with the
shapes and types of its tensors. Replaying those calls does the same arithmetic on the same amount
of data, without anything in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from swin2sr_core.machine.onlooker import Onlooker

LAYERS = frozenset(
    ("addmm", "mm", "linear", "_linear_pointwise", "_int_mm", "qlinear_pointwise")
) | {"conv2d", "convolution"}
"""Names of the operations that linear layers and convolutions arrive as."""

ATTENTION = frozenset(("bmm", "baddbmm", "baddbmm_"))
"""Names of the products within attention: of queries and keys, and of weights and values."""


@dataclass(frozen=True)
class _TensorLike:
    """What decides how long a product takes: everything about a tensor but its numbers."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, tensor: Tensor) -> _TensorLike:
        return cls(tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device)

    def make(self) -> Tensor:
        """Numbers of the usual size: subnormal ones, which memory may hold, can be slow."""
        tensor = torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device=self.device)
        return tensor.uniform_(-1, 1) if self.dtype.is_floating_point else tensor.random_(0, 127)


@dataclass(frozen=True)
class _Call:
    """One operation with its arguments, tensors replaced by descriptions; equal calls are equal."""

    operation: Callable[..., Any]
    leaves: tuple[object, ...]
    structure: TreeSpec

    def __hash__(self) -> int:
        return hash((self.operation, self.leaves))

    def prepared(self) -> Callable[[], object]:
        """The call with new tensors, ready to be repeated."""
        leaves = [leaf.make() if isinstance(leaf, _TensorLike) else leaf for leaf in self.leaves]
        args, kwargs = tree_unflatten(leaves, self.structure)
        return lambda: self.operation(*args, **kwargs)


class MatrixProducts:
    """The calls of one upscale. `watching()` writes them down, `replay()` repeats them.

    `names` are the operations that count: `LAYERS`, or `LAYERS | ATTENTION` for all.
    """

    def __init__(self, names: frozenset[str] = LAYERS) -> None:
        self.names = names
        self._counts: Counter[_Call] = Counter()
        self._prepared: list[tuple[Callable[[], object], int]] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Write down the products that are computed in this block."""
        with _Recorder(self.names, self._counts):
            yield
        with torch.inference_mode():
            self._prepared = [(call.prepared(), n) for call, n in self._counts.items()]

    @torch.inference_mode()
    def replay(self) -> None:
        """Compute them all again, as often as they were."""
        for call, count in self._prepared:
            for _ in range(count):
                call()

    def __len__(self) -> int:
        return sum(self._counts.values())


def _has_strides(value: object) -> TypeGuard[Tensor]:
    """All tensors but weights in oneDNN's own layout, which are kept as they are."""
    return isinstance(value, Tensor) and not value.is_mkldnn


class _Recorder(Onlooker):
    def __init__(self, names: frozenset[str], counts: Counter[_Call]) -> None:
        super().__init__()
        self.names = names
        self.counts = counts

    def saw(self, operation: Any, inputs: object, result: object) -> None:
        if operation.overloadpacket.__name__ in self.names:
            leaves, structure = tree_flatten(inputs)
            described = tuple(_TensorLike.of(x) if _has_strides(x) else x for x in leaves)
            self.counts[_Call(operation, described, structure)] += 1
