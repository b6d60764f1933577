"""One process or several: what torchrun says, and the little they have to agree on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """This process among `count`; `device` is the one it trains on."""

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files, validates and tells."""
        return self.rank == 0

    def agreed(self, values: Tensor) -> Tensor:
        """The leader's values, in all processes."""
        if self.count > 1:
            values = values.to(self.device)
            dist.broadcast(values, 0)
        return values.cpu()

    def wait(self) -> None:
        """Until all have come here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def joined(device: str = "auto") -> Iterator[Processes]:
    """Join torchrun's group where its environment is set, over nccl on GPUs and gloo elsewhere.

    `device` is "auto" (a GPU where there is one), "cpu", "cuda", "mps".
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    target = torch.device(device, local) if device == "cuda" else torch.device(device)
    if target.type == "cuda":
        torch.cuda.set_device(target)
    if count == 1:
        yield Processes(0, 1, target)
        return
    dist.init_process_group("nccl" if target.type == "cuda" else "gloo")
    try:
        yield Processes(rank, count, target)
    finally:
        dist.destroy_process_group()
