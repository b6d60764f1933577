"""A kernel beside the reference on a band of a network's windows: is it right, and is it faster?"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..machine.out_of_memory import is_out_of_memory
from ..network.windows import Kinds
from ..planning.tiles import Box
from ..prepared.folded import FoldedBlock, FoldedNetwork, MapConv
from ..sentences import sentence
from .block import ReferenceKernel
from .convolution import AddConv, add_conv
from .kernel import BlockKernel

TOLERANCE = 1e-4
"""How far a fused kernel may be from the reference in fp32, of the largest number there is.

Two orders of rounding differ by less than a fifth of that, even where logits are the hottest. In
bf16 twice what the reference is off by comes on top: how much that is depends on the weights.
"""

_CHECK_WINDOWS = {"cpu": 8, "cuda": 256}
"""A card has to have work for all of its processors."""
_TURNS, _ROUNDS = 8, 3


@dataclass(frozen=True)
class Contender:
    """A kernel that may be better than the reference.

    `make(windows)` is the kernel for bands of at most that many; `add_conv` goes with it, and is
    the reference's where the kernel has no convolution. `limit` is how many times the reference's
    time it may take. `prepare(network)` is called before its first use, if it is used.
    """

    name: str
    make: Callable[[int], BlockKernel]
    limit: float
    add_conv: AddConv = add_conv
    prepare: Callable[[FoldedNetwork], None] = lambda network: None


@dataclass(frozen=True)
class Verdict:
    """`fault` is empty, or says what is wrong with the kernel. `slowness` is the kernel's time, in
    the reference's; 0 where it was not measured."""

    fault: str = ""
    slowness: float = 0.0


@torch.inference_mode()
def judge(network: FoldedNetwork, contender: Contender, timed: bool = True) -> Verdict:
    """Try the kernel on a band of this network; without `timed` only whether it is right.

    Raises what says that memory has run out.
    """
    trial = _Trial(network, contender)
    try:
        blocks = representatives(network)
        convs = convs_of(network)[:1] if contender.add_conv is not add_conv else []
        for part in (*blocks, *convs):
            error, allowed = trial.error(part)
            if not error <= allowed:  # NaN is no smaller
                return Verdict(
                    sentence(
                        "kernel_wrong",
                        "is wrong on this computer, by {error:.2g} of the largest number",
                        error=error,
                    )
                )
        slowness = trial.slowness(blocks[0]) if timed else 0.0
    except Exception as error:
        if is_out_of_memory(error):
            raise
        why = f"{type(error).__name__}: {error}"
        return Verdict(sentence("kernel_fails", "fails on this computer ({why})", why=why))
    if slowness > contender.limit:
        told = sentence(
            "kernel_slow",
            "takes {times:.2f} times as long as PyTorch on this computer",
            times=slowness,
        )
        return Verdict(told, slowness)
    return Verdict(slowness=slowness)


def blocks_of(network: FoldedNetwork) -> Iterator[FoldedBlock]:
    for stage in network.stages:
        yield from stage.blocks


def convs_of(network: FoldedNetwork) -> list[MapConv]:
    """From map to map: a stage's, and the one after the body."""
    return [*(stage.conv for stage in network.stages), network.conv_after_body]


def representatives(network: FoldedNetwork) -> list[FoldedBlock]:
    """The first block of every kind that there is."""
    kinds: dict[tuple[object, ...], FoldedBlock] = {}
    for block in blocks_of(network):
        attention = block.attention
        kinds.setdefault((attention.heads, attention.bounded, block.shifted), block)
    return list(kinds.values())


class _Trial:
    """A kernel and the reference side by side, on one band of windows."""

    def __init__(self, network: FoldedNetwork, contender: Contender) -> None:
        self._config, self._dtype, self._device = network.config, network.dtype, network.device
        self._windows = _CHECK_WINDOWS[self._device.type]
        tokens = network.config.window**2
        rows, channels = self._windows * tokens, network.config.embed_dim
        generator = torch.Generator().manual_seed(0)
        index = torch.arange(rows, dtype=torch.int32).view(self._windows, tokens)
        numbers = torch.randn(rows, channels, generator=generator)
        self._band, self._map = index.to(self._device), numbers.to(self._device, self._dtype)
        self._contender = contender
        self._kernel = contender.make(self._windows)

    def error(self, part: FoldedBlock | MapConv) -> tuple[float, float]:
        """The largest difference from fp32, relative to the largest number; and what is allowed."""
        if isinstance(part, MapConv):
            exact = self._convolved(add_conv, copy.deepcopy(part).float())
            fused = self._convolved(self._contender.add_conv, part)
            reference = self._convolved(add_conv, part)
        else:
            exact = self._run(self._reference(torch.float32), copy.deepcopy(part).float())
            fused = self._run(self._kernel, part)
            reference = self._run(self._reference(self._dtype), part)

        def off(found: Tensor) -> float:
            return float((found - exact).abs().max() / exact.abs().max())

        return off(fused), 2 * off(reference) + TOLERANCE

    def _reference(self, dtype: torch.dtype) -> ReferenceKernel:
        """One that nobody keeps: its memory is the trial's largest part."""
        return ReferenceKernel(self._config, self._windows, dtype, self._device)

    def slowness(self, block: FoldedBlock) -> float:
        """The kernel's time relative to the reference's, the shortest of rounds in turns.

        A turn has several rounds, since PyTorch's threads spin on for a while in the first of the
        other's. There are more turns only where the computer is so busy that they are needed.
        """
        reference_kernel = self._reference(self._dtype)
        reference = fused = math.inf
        for _ in range(_TURNS):
            reference = min(reference, *self._rounds(reference_kernel, block))
            fused = min(fused, *self._rounds(self._kernel, block))
            if fused <= self._contender.limit * reference:
                break
        return fused / reference

    def _rounds(self, kernel: BlockKernel, block: FoldedBlock) -> list[float]:
        """Seconds of each round."""
        seconds = []
        for _ in range(_ROUNDS):
            self._wait()
            started = time.perf_counter()
            self._run(kernel, block)
            self._wait()
            seconds.append(time.perf_counter() - started)
        return seconds

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _convolved(self, add: AddConv, conv: MapConv) -> Tensor:
        """All but the last row of a map, which lies beyond the bounds."""
        source = self._map.to(next(conv.parameters()).dtype).unflatten(0, (1, self._windows, -1))
        bounds = Box(0, 0, source.shape[1] - 1, source.shape[2])
        target = torch.zeros_like(source)
        add(conv, source, target, bounds, bounds)
        return target.float()

    def _run(self, kernel: BlockKernel, block: FoldedBlock) -> Tensor:
        source = self._map.to(block.norm1.weight.dtype)
        target = torch.empty_like(source)
        kernel.run(block, self._kinds(block), source, target, self._band)
        return target.float()

    def _kinds(self, block: FoldedBlock) -> Kinds:
        """On a CPU the one with most masks; on a card all of them."""
        kinds = len(block.attention.bias)
        if self._device.type == "cpu" or kinds == 1:
            return kinds - 1
        each = torch.arange(self._windows, dtype=torch.int32, device=self._device)
        return each % kinds
