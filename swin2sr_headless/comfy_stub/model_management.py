"""Stand-in for `comfy.model_management`: device, memory, loaded models, interruption."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn

from swin2sr_core.machine.devices import free_bytes

__all__ = [
    "InterruptProcessingException",
    "extra_reserved_memory",
    "free_memory",
    "get_free_memory",
    "get_torch_device",
    "get_total_memory",
    "intermediate_device",
    "interrupt_current_processing",
    "load_models_gpu",
    "loaded_models",
    "minimum_inference_memory",
    "module_size",
    "processing_interrupted",
    "soft_empty_cache",
    "throw_exception_if_processing_interrupted",
    "unet_offload_device",
    "unload_all_models",
]

_UNKNOWN_FREE = 4 << 30
"""Taken for free where the system does not tell."""


class Patcher(Protocol):
    """What is needed of a ModelPatcher here."""

    load_device: torch.device

    def model_size(self) -> int: ...
    def loaded_size(self) -> int: ...
    def load(self, device_to: torch.device | None = None) -> None: ...
    def detach(self, unpatch_all: bool = True) -> nn.Module: ...


class InterruptProcessingException(Exception):
    """The user cancelled the run."""


_device = torch.device("cpu")
_loaded: list[weakref.ref[Patcher]] = []
_interrupted = threading.Event()


def reset(device: torch.device | None) -> None:
    """Forget the loaded models and any interruption; compute on `device` (None: the CPU)."""
    global _device
    _device = device or torch.device("cpu")
    _loaded.clear()
    _interrupted.clear()


# -- devices and memory --------------------------------------------------------------------------


def get_torch_device() -> torch.device:
    return _device


def unet_offload_device() -> torch.device:
    return torch.device("cpu")


def intermediate_device() -> torch.device:
    return torch.device("cpu")


def get_free_memory(dev: torch.device | None = None) -> int:
    free = free_bytes(dev or _device)
    return _UNKNOWN_FREE if free is None else free


def extra_reserved_memory() -> int:
    return 400 << 20


def minimum_inference_memory() -> float:
    return 0.8 * 2**30 + extra_reserved_memory()


def get_total_memory(dev: torch.device | None = None) -> int:
    dev = dev or _device
    if dev.type == "cuda":
        return torch.cuda.get_device_properties(dev).total_memory
    return get_free_memory(dev)


def soft_empty_cache(force: bool = False) -> None:
    if _device.type == "cuda":
        torch.cuda.empty_cache()


# -- models --------------------------------------------------------------------------------------


def module_size(module: nn.Module) -> int:
    """Bytes of a module's state dict."""
    return sum(tensor.nelement() * tensor.element_size() for tensor in module.state_dict().values())


def loaded_models() -> list[Patcher]:
    """The loaded models that still exist, the most recent first."""
    return [patcher for reference in _loaded if (patcher := reference()) is not None]


def load_models_gpu(
    models: Sequence[Patcher],
    memory_required: float = 0,
    force_patch_weights: bool = False,
    minimum_memory_required: float | None = None,
    force_full_load: bool = False,
) -> None:
    """Load the models, after others made room for them and for `memory_required` bytes."""
    for patcher in models:
        needed = patcher.model_size() - patcher.loaded_size() + memory_required
        free_memory(needed, patcher.load_device, list(models))
        patcher.load(patcher.load_device)
        _loaded[:] = [r for r in _loaded if r() is not None and r() is not patcher]
        _loaded.insert(0, weakref.ref(patcher))


def free_memory(
    memory_required: float, device: torch.device, keep_loaded: Sequence[Patcher] = ()
) -> list[Patcher]:
    """Unload models, the least recent first, until that many bytes are free; returns those."""
    unloaded = []
    for patcher in reversed(loaded_models()):
        if get_free_memory(device) > memory_required:
            break
        if patcher.load_device == device and patcher not in keep_loaded:
            patcher.detach()
            unloaded.append(patcher)
    _loaded[:] = [r for r in _loaded if r() is not None and r() not in unloaded]
    return unloaded


def unload_all_models() -> None:
    free_memory(float("inf"), _device)


# -- interruption --------------------------------------------------------------------------------


def interrupt_current_processing(value: bool = True) -> None:
    if value:
        _interrupted.set()
    else:
        _interrupted.clear()


def processing_interrupted() -> bool:
    return _interrupted.is_set()


def throw_exception_if_processing_interrupted() -> None:
    """Raise, once, if the user cancelled."""
    if _interrupted.is_set():
        _interrupted.clear()
        raise InterruptProcessingException
