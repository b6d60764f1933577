"""Recognising that memory has run out, in any of its disguises, and giving back what is held.

Errors are told by name and text: the command line asks, too, and may not have imported torch.
"""

from __future__ import annotations

import gc
import re
from typing import TYPE_CHECKING

from ..errors import Swin2SRError

if TYPE_CHECKING:
    import torch

_TORCHS_OWN = "OutOfMemoryError"
_TEXTS = re.compile(
    "|".join(
        (
            r"out of memory",  # CUDA, HIP, MPS and XPU allocators
            r"not enough memory",  # torch's allocator on Windows
            r"can't allocate memory|cannot allocate memory",  # torch's allocator, and ENOMEM
            r"not enough GPU video memory",  # DirectML
            r"ALLOC_FAILED",  # cuBLAS, cuDNN, cuSOLVER and their HIP twins
            r"CUBLAS_STATUS_NOT_INITIALIZED",  # its handle did not fit
            r"unable to find an engine to execute|unable to find a valid cuDNN algorithm",
            r"OUT_OF_RESOURCES",  # Level Zero, oneDNN, Triton
            r"rocblas_status_memory_error",
            r"invalid buffer size",  # Metal
            r"OUT_OF_(DEVICE|HOST)_MEMORY",  # Level Zero
            r"allocation on device",  # what ComfyUI makes of it
            r"bad_?alloc|bad allocation",  # C++
            r"could not create a (memory|primitive)",  # oneDNN
            r"failed to allocate",
            r"can't start new thread",  # no room for its stack, most likely
        )
    ),
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory, the host's or a device's, has run out."""
    if isinstance(error, MemoryError) or type(error).__name__ == _TORCHS_OWN:
        return not isinstance(error, Swin2SRError)
    return isinstance(error, RuntimeError | OSError) and bool(_TEXTS.search(str(error)))


def release_memory(device: torch.device, thorough: bool = False) -> None:
    """Hand back what nothing refers to any more, from Python's garbage and the device's cache.

    `thorough` looks through all objects of the process, which takes half a second.
    """
    import torch

    gc.collect(2 if thorough else 1)
    if device.type in ("cuda", "xpu", "mps"):
        getattr(torch, device.type).empty_cache()
