"""Which device computes, in which type, and how much of its memory is free."""

from __future__ import annotations

import logging
import re
from functools import lru_cache

import torch

from ..errors import DeviceError, InputError
from ..planning.choices import PRECISIONS
from . import cpu
from .host_memory import free_host_bytes, used_host_bytes
from .out_of_memory import is_out_of_memory

log = logging.getLogger(__name__)

_AMD_WITH_BF16 = re.compile(r"gfx(9(08|0a|4|5)|1[1-9])")
"""ROCm's names of what multiplies bf16: CDNA, and RDNA since its third generation."""

DTYPES = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.float32,
}
"""Of the feature maps; int8 keeps everything between its products in float32."""


def resolve_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" is the best that is there and computes.

    Raises `DeviceError` when this machine has none of the kind, or torch has no code for it;
    `InputError` for an unknown name.
    """
    if name == "auto":
        return next(d for d in _candidates() if d is not None and not fault_of(d))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(
            f"device must be auto, cpu, cuda, cuda:1, mps or xpu, got {name}"
        ) from error
    if device.type == "meta":
        raise InputError("torch's meta device holds no numbers; use --device cpu, cuda, mps or xpu")
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "xpu": torch.xpu.is_available(),
    }.get(device.type, True)
    if not available:
        raise DeviceError(
            f"this machine (or this torch) has no {device.type} device; use --device cpu"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"there is no {name}: this machine has {torch.cuda.device_count()} CUDA device(s)"
        )
    if fault := fault_of(device):
        raise DeviceError(
            f"{name} does not compute with torch {torch.__version__} ({fault}); use --device cpu, "
            "or a torch that was built for it"
        )
    return device


@lru_cache
def fault_of(device: torch.device) -> str:
    """Why a small operation fails there; empty where it does not.

    A torch that was built for other cards finds and names a card, and has no code for it.
    """
    if device.type == "cpu":
        return ""
    try:
        ones = torch.ones(8, 8, device=device)
        if float((ones @ ones).sum()) == 8**3:
            return ""
        log.warning("%s computes wrong numbers, and is not used", device)
        return "it gives wrong numbers"
    except Exception as error:
        if is_out_of_memory(error):
            return ""  # full, not broken: a plan knows what to do
        log.warning("%s is not used: %s", device, error)
        return str(error).partition("\n")[0]


def _candidates() -> list[torch.device | None]:
    return [
        torch.device("cuda") if torch.cuda.is_available() else None,
        torch.device("xpu") if torch.xpu.is_available() else None,
        torch.device("mps") if torch.backends.mps.is_available() else None,
        torch.device("cpu"),
    ]


def resolve_precision(name: str, device: torch.device) -> str:
    """fp32, bf16, fp16 or int8; "auto" is bf16 where hardware multiplies it natively and faster,
    else fp16 on graphics cards whose tensor cores know that alone, else fp32.

    Raises `InputError` for an unknown name, `DeviceError` for what the device can't compute in.
    """
    if name not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, got {name}")
    if name == "auto":
        if has_native_bf16(device) and (device.type != "cpu" or cpu.bf16_is_faster()):
            return "bf16"
        return "fp16" if has_fp16_tensor_cores(device) else "fp32"
    if not _computes(DTYPES[name], device):
        raise DeviceError.saying(
            "precision_missing",
            "torch {version} has no {name} on {device}; use --precision fp32",
            version=torch.__version__,
            name=name,
            device=device.type,
        )
    return name


@lru_cache
def _computes(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether every kind of operation of a network exists in `dtype` there, fast or not."""
    if dtype == torch.float32:
        return True
    try:
        x = torch.ones((1, 8, 8, 8), dtype=dtype, device=device)
        x = torch.conv2d(x, x[0, :, None, :1, :1].expand(8, 8, 1, 1))
        rows = torch.addmm(x[0, 0, 0], x[0, 0], x[0, 1])
        batch = torch.baddbmm(x[0], x[0], x[0]).exp2_()
        torch.linalg.vector_norm(torch.layer_norm(rows, (8,)), dim=-1, dtype=torch.float32)
        torch.ops.aten.gelu_(torch.bmm(batch, batch) - batch.amax(dim=-1, keepdim=True))
    except (RuntimeError, TypeError):  # NotImplementedError is a RuntimeError
        return False
    return True


def has_native_bf16(device: torch.device) -> bool:
    """Whether matrix products in bf16 run in hardware there, rather than being emulated in fp32."""
    if device.type == "cuda":
        if not torch.cuda.is_available():  # a plan may be for another machine
            return False
        if torch.version.hip is not None:
            return (
                _AMD_WITH_BF16.match(torch.cuda.get_device_properties(device).gcnArchName)
                is not None
            )
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "xpu":
        return True
    return device.type == "cpu" and cpu.has_native_bf16()


def has_fp16_tensor_cores(device: torch.device) -> bool:
    """Whether it is a card of Nvidia's Volta or later, of which the first have no others."""
    if device.type != "cuda" or torch.version.hip is not None or not torch.cuda.is_available():
        return False
    return torch.cuda.get_device_capability(device) >= (7, 0)


def has_int8_products(device: torch.device) -> bool:
    """Whether int8 matrix products run in hardware there, summed in int32."""
    if device.type == "cuda":
        return torch.version.hip is None and torch.cuda.get_device_capability(device) >= (7, 5)
    if device.type != "cpu":
        return False
    # torch reaches them by oneDNN's products behind `_int_mm`
    return cpu.has_int8_products() and torch.backends.mkldnn.is_available()


def free_bytes(device: torch.device) -> int | None:
    """Bytes that new tensors on `device` may take now; None where it is unknown.

    What torch's allocator holds without using it counts as free.
    """
    if device.type == "cpu":
        return free_host_bytes()
    if device.type == "mps":
        if not hasattr(torch.mps, "recommended_max_memory"):  # torch 2.4
            return free_host_bytes()
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    backend = {"cuda": torch.cuda, "xpu": torch.xpu}.get(device.type)
    if backend is None or not hasattr(backend, "mem_get_info"):  # XPU in older releases of torch
        return None
    free, _ = backend.mem_get_info(device)
    return free + backend.memory_reserved(device) - backend.memory_allocated(device)


def used_bytes(device: torch.device) -> int | None:
    """What this process uses now: tensors on a device, everything on a CPU; None where unknown."""
    if device.type == "cpu":
        return used_host_bytes()
    if device.type == "mps":
        return torch.mps.current_allocated_memory()
    backend = {"cuda": torch.cuda, "xpu": torch.xpu}.get(device.type)
    return None if backend is None else backend.memory_allocated(device)
