"""A stand-in for the few names of ComfyUI that the nodes use, where there is no ComfyUI.

    with comfy_stub.installed(base_directory):
        ...  # import the node pack, run its nodes

Tests and the workflow runner stand on it. It is small on purpose: names, signatures and behaviour
follow ComfyUI 0.3.64, and a test compares them with a real checkout where there is one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch

from . import api, folder_paths, model_management, model_patcher, progress

MODULES: Mapping[str, ModuleType] = {
    "comfy_api.latest": api,
    "comfy.model_management": model_management,
    "comfy.model_patcher": model_patcher,
    "comfy.utils": progress,
    "folder_paths": folder_paths,
}
"""What stands in for which module of ComfyUI; the public names of each are in its `__all__`."""


@contextmanager
def installed(base_directory: Path, device: torch.device | None = None) -> Iterator[None]:
    """Put the stand-in where imports find it, with its folders below `base_directory`.

    `device` computes (None: the CPU). Afterwards the modules are as they were before, so a real
    ComfyUI or another stand-in can follow. Raises RuntimeError where a real ComfyUI is imported.
    """
    clashes = [name for name in _all_modules() if name in sys.modules]
    if clashes:
        raise RuntimeError(f"{clashes[0]} is imported already: the stand-in would hide it")
    start(base_directory, device)
    sys.modules.update(_all_modules())
    try:
        yield
    finally:
        for name in _all_modules():
            sys.modules.pop(name, None)
        model_management.reset(None)


_TURN = threading.RLock()


def start(base_directory: Path, device: torch.device | None = None) -> None:
    """Start over: folders below `base_directory`, nothing loaded, nothing interrupted."""
    folder_paths.reset(base_directory)
    model_management.reset(device)
    progress.set_progress_bar_global_hook(None)


@contextmanager
def lent(wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Put the stand-in where imports find it for this block only, whatever is there.

    For code that stands on the stand-in next to a real ComfyUI in the same process. The stand-in's
    folders, models and interruption are those of the process: threads take turns. `wait` is called
    again and again while another has it, and may raise to give up.
    """
    while not _TURN.acquire(timeout=0.05):
        if wait is not None:
            wait()
    try:
        with _in_place():
            yield
    finally:
        _TURN.release()


@contextmanager
def _in_place() -> Iterator[None]:
    ours = _all_modules()
    before = {name: sys.modules.get(name) for name in ours}
    sys.modules.update(ours)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def _all_modules() -> dict[str, ModuleType]:
    """The modules and the packages around them."""
    modules = dict(MODULES)
    for name, module in MODULES.items():
        package, _, child = name.rpartition(".")
        if package:
            parent = modules.setdefault(package, _PACKAGES[package])
            setattr(parent, child, module)
    return modules


def _package(name: str) -> ModuleType:
    package = ModuleType(name, "Stand-in for a package of ComfyUI.")
    package.__path__ = []
    return package


_PACKAGES = {name: _package(name) for name in ("comfy", "comfy_api")}
