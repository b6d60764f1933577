"""The device under test: its clock and its memory. A CPU has a clock alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

_ROUNDS = 3


class Card:
    """Bytes are 0, and nothing waits, where it is no CUDA (or ROCm) device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.real = device.type == "cuda"

    @property
    def total(self) -> int:
        return torch.cuda.get_device_properties(self.device).total_memory if self.real else 0

    @property
    def allocated(self) -> int:
        return torch.cuda.memory_allocated(self.device) if self.real else 0

    @property
    def peak(self) -> int:
        """Since `reset`, in tensors."""
        return torch.cuda.max_memory_allocated(self.device) if self.real else 0

    @property
    def reserved(self) -> int:
        """Since `reset`, in what torch took from the driver."""
        return torch.cuda.max_memory_reserved(self.device) if self.real else 0

    def reset(self) -> None:
        if self.real:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def wait(self) -> None:
        if self.real:
            torch.cuda.synchronize(self.device)

    def seconds(self, run: Callable[[], object]) -> float:
        """The median of some rounds, after one that loads and chooses kernels."""
        run()
        rounds = []
        for _ in range(_ROUNDS):
            self.wait()
            started = time.perf_counter()
            run()
            self.wait()
            rounds.append(time.perf_counter() - started)
        return statistics.median(rounds)
