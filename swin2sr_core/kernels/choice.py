"""Which kernel runs a network's blocks: chosen once, checked and timed against the reference."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..machine.out_of_memory import is_out_of_memory
from ..planning.tiles import Box
from ..prepared.folded import FoldedBlock, FoldedNetwork, MapConv
from .block import ReferenceKernel
from .convolution import AddConv, add_conv
from .fused import FusedKernel
from .kernel import REFERENCE, BlockKernel
from .library import NativeKernel
from .packing import can_convolve, reason_against
from .setting import candidate, setting

log = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""How far a fused kernel may be from the reference in fp32, of the largest number there is.

Two orders of rounding differ by less than a fifth of that, even where logits are the hottest. In
bf16 twice what the reference is off by comes on top: how much that is depends on the weights.
"""

_CHECK_WINDOWS = 8
_TURNS, _ROUNDS = 8, 3
_SLOWER = 1.25
"""A kernel that takes this many times the reference's time is not used: less may be chance."""

_PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True)
class Choice:
    """The kernel of a network. `reason` says why it is the reference, where it is.

    `fault` is empty but where a fused kernel was tried and found wrong, slower or failing: then it
    is a sentence for the user. `make(windows)` is the kernel, for bands of at most that many;
    `add_conv` goes with it.
    """

    name: str
    make: Callable[[int], BlockKernel]
    add_conv: AddConv = add_conv
    reason: str = ""
    fault: str = ""


def chosen(network: FoldedNetwork) -> Choice:
    """The kernel for `network` where it is now; found at the first call, and kept with its weights.

    Raises InputError for what SWIN2SR_KERNELS may not be.
    """
    key = f"kernel {setting()}"
    if key not in network.derived:
        try:
            network.derived[key] = _choose(network)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        else:
            return network.derived[key]
        _forget_packed(network)
        log.warning("there is no memory to prepare a fused kernel; this run goes on in PyTorch")
        return _reference(network, "there was no memory to prepare a fused kernel")
    return network.derived[key]


def _choose(network: FoldedNetwork) -> Choice:
    # Networks in int8 have maps in fp32, but their layers tell.
    found = candidate(network.device.type, _PRECISIONS[network.dtype])
    reason = found.reason or next(filter(None, map(reason_against, _blocks(network))), "")
    if reason:
        log.info("blocks run in PyTorch: %s", reason)
        return _reference(network, reason)
    faults = []
    for native in found.natives:
        fault = _fault(network, native)
        if not fault:
            return _fused(network, native, " and ".join(faults))
        faults.append(f"the kernel {native.name} {fault}")
        _forget_packed(network)
    text = f"{' and '.join(faults)}; PyTorch is used instead"
    log.warning("%s", text)
    return _reference(network, " and ".join(faults), text)


def _fused(network: FoldedNetwork, native: NativeKernel, faults: str) -> Choice:
    """With `faults` of kernels that are likely faster, where they have some."""
    kernel = FusedKernel(native)
    for block in _blocks(network):
        kernel.packed(block)
    for conv in _convs(network):
        last = conv is network.conv_after_body
        kernel.packed_conv(conv, to_floats=last or network.dtype == torch.float32)
    fault = f"{faults}; {kernel.name} is used instead" if faults else ""
    if fault:
        log.warning("%s", fault)
    return Choice(kernel.name, lambda windows: kernel, kernel.add_conv, fault=fault)


def _reference(network: FoldedNetwork, reason: str, fault: str = "") -> Choice:
    # Kept in the network, so it may not hold the network.
    config, dtype, device = network.config, network.dtype, network.device

    def make(windows: int) -> BlockKernel:
        return ReferenceKernel(config, windows, dtype, device)

    return Choice(REFERENCE, make, reason=reason, fault=fault)


def _forget_packed(network: FoldedNetwork) -> None:
    """Let go of weights in the layout of a kernel that is not used."""
    for part in (*_blocks(network), *_convs(network)):
        part.derived.clear()


def _convs(network: FoldedNetwork) -> list[MapConv]:
    """Those that a fused kernel can have."""
    convs = [*(stage.conv for stage in network.stages), network.conv_after_body]
    return [conv for conv in convs if can_convolve(conv)]


def _blocks(network: FoldedNetwork) -> Iterator[FoldedBlock]:
    for stage in network.stages:
        yield from stage.blocks


@torch.inference_mode()
def _fault(network: FoldedNetwork, native: NativeKernel) -> str:
    """What is wrong with the kernel on a band of this network; empty if nothing is."""
    trial = _Trial(network, native)
    try:
        blocks = _representatives(network)
        for part in (*blocks, *_convs(network)[:1]):
            error, allowed = trial.error(part)
            if not error <= allowed:  # NaN is no smaller
                return f"is wrong on this computer, by {error:.2g} of the largest number"
        slower = trial.slowness(blocks[0])
        if slower > _SLOWER:
            return f"is slower than PyTorch on this computer, {slower:.1f} times"
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return f"fails on this computer ({type(error).__name__}: {error})"
    return ""


def _representatives(network: FoldedNetwork) -> list[FoldedBlock]:
    """The first block of every kind that there is."""
    kinds: dict[tuple[object, ...], FoldedBlock] = {}
    for block in _blocks(network):
        attention = block.attention
        kinds.setdefault((attention.heads, attention.bounded, block.shifted), block)
    return list(kinds.values())


class _Trial:
    """A fused kernel and the reference side by side, on one band of windows."""

    def __init__(self, network: FoldedNetwork, native: NativeKernel) -> None:
        tokens = network.config.window**2
        rows, channels = _CHECK_WINDOWS * tokens, network.config.embed_dim
        generator = torch.Generator().manual_seed(0)
        self._band = torch.arange(rows, dtype=torch.int32).view(_CHECK_WINDOWS, tokens)
        self._map = torch.randn(rows, channels, generator=generator).to(network.dtype)
        self._config, self._dtype, self._device = network.config, network.dtype, network.device
        self._fused = FusedKernel(native)

    def error(self, part: FoldedBlock | MapConv) -> tuple[float, float]:
        """The largest difference from fp32, relative to the largest number; and what is allowed."""
        if isinstance(part, MapConv):
            exact = self._convolved(add_conv, copy.deepcopy(part).float())
            fused = self._convolved(self._fused.add_conv, part)
            reference = self._convolved(add_conv, part)
        else:
            exact = self._run(self._reference(torch.float32), copy.deepcopy(part).float())
            fused = self._run(self._fused, part)
            reference = self._run(self._reference(self._dtype), part)

        def off(found: Tensor) -> float:
            return float((found - exact).abs().max() / exact.abs().max())

        return off(fused), 2 * off(reference) + TOLERANCE

    def _reference(self, dtype: torch.dtype) -> ReferenceKernel:
        """One that nobody keeps: its memory is the trial's largest part."""
        return ReferenceKernel(self._config, _CHECK_WINDOWS, dtype, self._device)

    def slowness(self, block: FoldedBlock) -> float:
        """The fused kernel's time relative to the reference's, the shortest of rounds in turns.

        A turn has several rounds, since PyTorch's threads spin on for a while in the first of the
        other's. There are more turns only where the computer is so busy that they are needed.
        """
        reference_kernel = self._reference(self._dtype)
        reference = fused = math.inf
        for _ in range(_TURNS):
            reference = min(reference, *self._rounds(reference_kernel, block))
            fused = min(fused, *self._rounds(self._fused, block))
            if fused <= _SLOWER * reference:
                break
        return fused / reference

    def _rounds(self, kernel: BlockKernel, block: FoldedBlock) -> list[float]:
        """Seconds of each round."""
        seconds = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            self._run(kernel, block)
            seconds.append(time.perf_counter() - started)
        return seconds

    def _convolved(self, add: AddConv, conv: MapConv) -> Tensor:
        """All but the last row of a map, which lies beyond the bounds."""
        source = self._map.to(next(conv.parameters()).dtype).unflatten(0, (1, _CHECK_WINDOWS, -1))
        bounds = Box(0, 0, source.shape[1] - 1, source.shape[2])
        target = torch.zeros_like(source)
        add(conv, source, target, bounds, bounds)
        return target.float()

    def _run(self, kernel: BlockKernel, block: FoldedBlock) -> Tensor:
        source = self._map.to(block.norm1.weight.dtype)
        target = torch.empty_like(source)
        kind = len(block.attention.bias) - 1  # the one with most masks
        kernel.run(block, kind, source, target, self._band)
        return target.float()
