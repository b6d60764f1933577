"""What the processor can, read from its own flags; torch is asked only where there is no /proc."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path

SAFE_PRECISIONS = ("auto", "fp32", "bf16", "int8")
"""What torch computes in on every CPU, fast or not; fp16 has to be tried."""


@lru_cache(maxsize=1)
def has_native_bf16() -> bool:
    """AVX512-BF16 or AMX on x86, BF16 on Arm."""
    return bool(flags() & {"avx512_bf16", "amx_bf16", "bf16"})


@lru_cache(maxsize=1)
def bf16_is_faster() -> bool:
    """Than fp32: wherever it is native, but for Intel's processors without AMX.

    Their AVX512-BF16 multiplies at half of fp32's rate (165 to 320 GFLOP/s on two cores of an
    Emerald Rapids whose AMX is hidden), AMD's at twice of it.
    """
    without_amx = "amx_bf16" not in flags() and "GenuineIntel" in vendor()
    return has_native_bf16() and not without_amx


@lru_cache(maxsize=1)
def has_int8_products() -> bool:
    """VNNI or AMX on x86."""
    wanted = {"avx512_vnni", "avx_vnni", "amx_int8", "avx512vnni", "avxvnni"}
    return bool(flags() & wanted)


def flags() -> set[str]:
    """The names of the processor's extensions, in lower case; empty where they are unknown."""
    told = _told("flags", "features")
    if told is not None:
        return set(told.split())
    # Apple's CPUs are left out: torch has no bf16 products for them that are faster than fp32.
    if platform.system() == "Darwin":
        return set()
    import torch

    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is None:
        return set()
    return {name for name, value in capabilities().items() if value is True}


def vendor() -> str:
    """Who made the processor: GenuineIntel, AuthenticAMD; empty where that is unknown."""
    return (
        _told("vendor_id") or platform.processor()
    )  # Windows: "Intel64 Family 6 ..., GenuineIntel"


def _told(*names: str) -> str | None:
    """What the first line of /proc/cpuinfo says that begins with one of the names, if one does."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.lower().startswith(names):
                return line.partition(":")[2].strip()
    return None
