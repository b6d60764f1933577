"""Allocators that fail: what a device does when it is full, on any machine."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from swin2sr_core.machine.meter import PeakMeter

CUDA_TEXT = (
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 7.79 GiB"
)


def storages(tree) -> set[int]:
    tensors = (leaf for leaf in tree_iter(tree) if isinstance(leaf, torch.Tensor))
    return {each.untyped_storage()._cdata for each in tensors if not each.is_mkldnn}


class FailingAllocator(TorchDispatchMode):
    """Counts the operations that make a new tensor; those numbered `failing` (from 1) fail."""

    def __init__(self, *failing: int, error: Exception | None = None) -> None:
        super().__init__()
        self.failing = set(failing)
        self.error = error or RuntimeError(CUDA_TEXT)
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        before = storages((args, kwargs))
        result = func(*args, **kwargs)
        if storages(result) - before:
            self.count += 1
            if self.count in self.failing:
                # A new one: an error that is kept keeps the frames it came through.
                raise type(self.error)(*self.error.args)
        return result


class FullAt(PeakMeter):
    """A device of `capacity` bytes: what would make more of them live fails."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.failures = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if self.live > self.capacity:
            del result
            self.failures += 1
            raise torch.cuda.OutOfMemoryError(CUDA_TEXT)
        return result
