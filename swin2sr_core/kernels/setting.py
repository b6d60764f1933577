"""Which kernels would be tried for a network: what was asked for, and what is there. No torch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..errors import InputError
from ..machine import cpu
from ..network.config import Swin2SRConfig
from ..planning.workspace import KERNEL_TOKENS
from . import library
from .kernel import REFERENCE
from .library import NativeKernel

VARIABLE = "SWIN2SR_KERNELS"
SETTINGS = ("auto", REFERENCE)
"""Of the environment variable: the fastest kernel that is right here, or the one in PyTorch."""


@dataclass(frozen=True)
class Candidate:
    """Compiled kernels, the likely fastest first, or the reason why it is the reference."""

    natives: tuple[NativeKernel, ...]
    reason: str = ""

    @property
    def name(self) -> str:
        """Of what is tried first."""
        return self.natives[0].name if self.natives else REFERENCE


def setting() -> str:
    """What SWIN2SR_KERNELS says. Raises InputError."""
    value = os.environ.get(VARIABLE, "auto")
    if value not in SETTINGS:
        raise InputError(f"{VARIABLE} must be one of {', '.join(SETTINGS)}, got {value!r}")
    return value


def candidate(device_type: str, precision: str) -> Candidate:
    """What is tried for a network in that precision; its check may still say no."""
    if precision == "int8" and cpu.has_native_bf16():
        precision = "bf16"  # see `prepared.precision.prepare`
    if setting() == REFERENCE:
        return Candidate((), f"{VARIABLE}={REFERENCE}")
    if device_type == "cuda":
        return Candidate((), "a graphics card's kernel is chosen at the first run there")
    if device_type != "cpu":
        return Candidate((), f"there is no fused kernel for {device_type}")
    found = library.loaded()
    if found is None:
        return Candidate((), f"fused kernels are not built ({library.BUILD_COMMAND})")
    fitting = tuple(native for native in found.kernels if native.precision == precision)
    return Candidate(
        fitting, "" if fitting else f"there is no fused kernel for {precision} on this CPU"
    )


def kernel_threads(device_type: str, precision: str, config: Swin2SRConfig) -> int:
    """At most how many threads a compiled kernel will run that network's blocks on; 0: PyTorch.

    What a plan has to know, before a network is there to check the kernel with.
    """
    if config.window**2 > KERNEL_TOKENS or not candidate(device_type, precision).natives:
        return 0
    return os.cpu_count() or 1
