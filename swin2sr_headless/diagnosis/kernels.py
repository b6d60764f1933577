"""What runs the blocks of a network, by kind of device and precision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from swin2sr_core.kernels import library
from swin2sr_core.kernels.kernel import REFERENCE
from swin2sr_core.kernels.setting import candidate


@dataclass(frozen=True)
class KernelFinding:
    """`name` is what is tried first there; `reason` why it is not a fused one, or not known yet."""

    device: str
    precision: str
    name: str
    others: tuple[str, ...]
    reason: str

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def find_kernels(device_types: Iterable[str] = ("cpu",)) -> list[KernelFinding]:
    """For each kind of device; a network checks and times them at its first use.

    Raises InputError where SWIN2SR_KERNELS is no setting.
    """
    found = []
    for device in dict.fromkeys(device_types):
        for precision in ("fp32", "bf16") if device == "cpu" else ("fp32", "fp16", "bf16"):
            fitting = candidate(device, precision)
            others = (*(native.name for native in fitting.natives[1:]), REFERENCE)
            named = others if fitting.natives else ()
            found.append(KernelFinding(device, precision, fitting.name, named, fitting.reason))
    return found


def kernel_fault() -> str:
    """Why a library that was built is not used; empty where all is as it should be."""
    path = library.find()
    if path is None or library.loaded() is not None:
        return ""
    return f"{path} cannot be loaded; build it again: {library.BUILD_COMMAND}"
