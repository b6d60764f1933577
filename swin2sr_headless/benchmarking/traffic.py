"""The bytes that an upscale moves, and how fast this machine moves bytes."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter

from swin2sr_core.machine.onlooker import Onlooker

_COPIED_BYTES = 4 << 20
"""Of a band's size, so that a CPU copies it in its caches, as it does a band."""

_COPIES = 200


class TrafficMeter(Onlooker):
    """Counts what the operations inside its `with` block read and write, in `bytes`.

    Every tensor that enters an operation or leaves it counts, views that are made do not. Weights
    in oneDNN's own layout are left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def saw(self, operation: Any, inputs: object, result: object) -> None:
        if not operation.is_view and "empty" not in operation.overloadpacket.__name__:
            self.bytes += sum(_size(each) for each in tree_iter((inputs, result)))


def _size(value: object) -> int:
    if not isinstance(value, Tensor) or value.is_mkldnn:
        return 0
    return value.numel() * value.element_size()


def bytes_per_second(device: torch.device) -> float:
    """How fast `device` reads and writes: both halves of a copy count, the median of five."""
    source = torch.ones(_COPIED_BYTES // 4, device=device)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(5):
        synchronize(device)
        started = time.perf_counter()
        for _ in range(_COPIES):
            target.copy_(source)
        synchronize(device)
        seconds.append(time.perf_counter() - started)
    return 2 * _COPIED_BYTES * _COPIES / statistics.median(seconds)


def synchronize(device: torch.device) -> None:
    """Wait for what is left to do on `device`."""
    if device.type in ("cuda", "mps", "xpu"):
        getattr(torch, device.type).synchronize()
