"""Live tensor bytes, counted exactly: every storage made while a meter runs, until it dies."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._pytree import tree_iter

from .onlooker import Onlooker


class PeakMeter(Onlooker):
    """Counts the bytes of the tensors that are created inside its `with` block, on any device.

    `live` is what exists now, `peak` the most that existed at once. Views count once, tensors that
    were there before not at all. `device_type` ("cuda") counts that kind of device alone.
    """

    def __init__(self, device_type: str | None = None) -> None:
        super().__init__()
        self.device_type = device_type
        self.live = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}

    def saw(self, operation: Any, inputs: object, result: object) -> None:
        known = {
            leaf.untyped_storage()._cdata
            for leaf in tree_iter(inputs)
            if isinstance(leaf, torch.Tensor) and not leaf.is_mkldnn
        }
        for leaf in tree_iter(result):
            # oneDNN's opaque tensors have no storage to follow: they are weights, prepared once.
            if isinstance(leaf, torch.Tensor) and not leaf.is_mkldnn:
                self._count(leaf, known)

    def _count(self, tensor: torch.Tensor, inputs: set[int]) -> None:
        if self.device_type is not None and tensor.device.type != self.device_type:
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in inputs or key in self._sizes:
            return
        size = storage.nbytes()
        self._sizes[key] = size
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.live -= self._sizes.pop(key, 0)
