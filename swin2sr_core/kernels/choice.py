"""Which kernel runs a network's blocks: chosen once, checked and timed against the reference."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch

from ..machine.devices import has_native_bf16
from ..machine.out_of_memory import is_out_of_memory
from ..prepared.folded import FoldedNetwork
from ..sentences import Sentence, sentence
from . import verdicts
from .block import ReferenceKernel
from .convolution import AddConv, add_conv
from .fused import FusedKernel
from .kernel import REFERENCE, BlockKernel
from .library import NativeKernel
from .packing import can_convolve, reason_against
from .setting import VARIABLE, candidate, setting
from .trial import Contender, Verdict, blocks_of, convs_of, judge

log = logging.getLogger(__name__)

_SLOWER = 1.25
"""A compiled kernel that takes this many times the reference's time is not used: less is chance."""

_FASTER = 0.95
"""On a card a kernel has to be faster, since others may be there, and compiling takes seconds."""

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
    on_card = network.device.type == "cuda"
    contenders, reason = for_card(network) if on_card else _compiled(network)
    if reason:
        log.info("blocks run in PyTorch: %s", reason)
        return _reference(network, reason)
    best, faults = (_fastest if on_card else _first)(network, contenders)
    if best is None:
        text = _instead(faults, "PyTorch")
        # that PyTorch is as fast on a card is no fault that its owner could mend
        log.log(logging.INFO if on_card else logging.WARNING, "%s", text)
        return _reference(network, " and ".join(faults), "" if on_card else text)
    best.prepare(network)
    fault = _instead(faults, best.name) if faults and not on_card else ""
    if fault:
        log.warning("%s", fault)
    return Choice(best.name, best.make, best.add_conv, fault=fault)


def _first(
    network: FoldedNetwork, contenders: list[Contender]
) -> tuple[Contender | None, list[Sentence]]:
    """The first that is good, and what the others' faults are."""
    faults: list[Sentence] = []
    for contender in contenders:
        verdict = judge(network, contender)
        if not verdict.fault:
            return contender, faults
        faults.append(_fault_of(contender, verdict))
        _forget_packed(network)
    return None, faults


def _fastest(
    network: FoldedNetwork, contenders: list[Contender]
) -> tuple[Contender | None, list[Sentence]]:
    """The fastest of those that are right; found once for this card, and remembered."""
    key = verdicts.key_of(network)
    known = verdicts.known(key)
    remembered = all(each.name in known for each in contenders)
    if not remembered:
        log.info("trying kernels for %s, once: this takes some seconds", network.device)
        known = {each.name: judge(network, each) for each in contenders}
        verdicts.remember(key, known)
    good = [each for each in contenders if not known[each.name].fault]
    for best in sorted(good, key=lambda each: known[each.name].slowness):
        if remembered:  # these weights were not tried
            known[best.name] = judge(network, best, timed=False)
        if not known[best.name].fault:
            return best, []
    return None, [_fault_of(each, known[each.name]) for each in contenders]


def _fault_of(contender: Contender, verdict: Verdict) -> Sentence:
    return sentence(
        "kernel_fault", "the kernel {name} {fault}", name=contender.name, fault=verdict.fault
    )


def _instead(faults: list[Sentence], used: str) -> Sentence:
    both = reduce(lambda a, b: sentence("and", "{one} and {other}", one=a, other=b), faults)
    return sentence("used_instead", "{faults}; {used} is used instead", faults=both, used=used)


def _compiled(network: FoldedNetwork) -> tuple[list[Contender], str]:
    """What the library has for a CPU, the likely fastest first; or why it has nothing."""
    # Networks in int8 have maps in fp32, but their layers tell.
    found = candidate(network.device.type, _PRECISIONS[network.dtype])
    reason = found.reason or next(filter(None, map(reason_against, blocks_of(network))), "")
    return [] if reason else [_of_library(native) for native in found.natives], reason


def _of_library(native: NativeKernel) -> Contender:
    kernel = FusedKernel(native)

    def prepare(network: FoldedNetwork) -> None:
        for block in blocks_of(network):
            kernel.packed(block)
        for conv in filter(can_convolve, convs_of(network)):
            last = conv is network.conv_after_body
            kernel.packed_conv(conv, to_floats=last or network.dtype == torch.float32)

    return Contender(kernel.name, lambda windows: kernel, _SLOWER, kernel.add_conv, prepare)


def for_card(network: FoldedNetwork) -> tuple[list[Contender], str]:
    """What Triton has for the graphics card that `network` is on; or why it has nothing."""
    reason = _reason_against_triton(network)
    if reason:
        return [], reason
    from .card import kernels

    reasons = (kernels.reason_against(network.config, block) for block in blocks_of(network))
    if reason := next(filter(None, reasons), ""):
        return [], reason

    def contender(kernel: BlockKernel) -> Contender:
        return Contender(kernel.name, lambda windows: kernel, _FASTER)

    made = kernels.CoreKernel(), kernels.HalvesKernel(4), kernels.HalvesKernel(8)
    return [contender(each) for each in made], ""


def _reason_against_triton(network: FoldedNetwork) -> str:
    if setting() == REFERENCE:
        return f"{VARIABLE}={REFERENCE}"
    if network.dtype == torch.float32:
        return "Triton's kernels are for bf16 and fp16"
    if torch.version.hip is not None:
        return "Triton's kernels were never tried on AMD's cards"
    if not has_native_bf16(network.device):
        return "Triton's kernels need a card of compute capability 8.0 or later"
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed (pip install triton)"
    return ""


def _reference(network: FoldedNetwork, reason: str, fault: str = "") -> Choice:
    # Kept in the network, so it may not hold the network.
    config, dtype, device = network.config, network.dtype, network.device

    def make(windows: int) -> BlockKernel:
        return ReferenceKernel(config, windows, dtype, device)

    return Choice(REFERENCE, make, reason=reason, fault=fault)


def _forget_packed(network: FoldedNetwork) -> None:
    """Let go of weights in the layout of a kernel that is not used."""
    for part in (*blocks_of(network), *convs_of(network)):
        part.derived.clear()
