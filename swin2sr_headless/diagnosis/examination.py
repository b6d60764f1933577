"""Everything that `doctor` looks at, as one value."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from swin2sr_core import __version__
from swin2sr_core.errors import Swin2SRError
from swin2sr_core.models.catalog import ModelRow, list_models, models_dir

from .comfyui import ComfyUIFinding, find_comfyui
from .devices import DeviceFinding, find_devices
from .extras import ExtraFinding, find_extras, version_of
from .kernels import KernelFinding, find_kernels, kernel_fault
from .memory import MemoryFinding, find_memory

_T = TypeVar("_T")

BASE = ("torch", "numpy", "pillow", "safetensors", "einops")
"""Distributions that everything needs."""


@dataclass(frozen=True)
class Examination:
    """What was found, and `broken`: a sentence for each thing that should work and does not.

    What is merely missing (an extra, a model that is not downloaded, a ComfyUI) is not broken.
    """

    versions: dict[str, str]
    devices: list[DeviceFinding]
    kernels: list[KernelFinding]
    memory: MemoryFinding
    extras: list[ExtraFinding]
    models: list[ModelRow]
    models_folder: Path | None
    comfyui: list[ComfyUIFinding]
    broken: list[str]


def examine(comfyui: Path | None = None) -> Examination:
    """Look at this machine; nothing is downloaded, run or written."""
    broken: list[str] = []
    folder = _tried(models_dir, broken)
    models = [] if folder is None else list_models()
    broken += filter(None, map(_model_fault, models))
    devices = _devices(broken)
    broken += [f"{each.name} does not compute: {each.fault}" for each in devices if each.fault]
    kinds = [each.name.partition(":")[0] for each in devices if not each.fault] or ["cpu"]
    kernels = _tried(lambda: find_kernels(kinds), broken) or []
    broken += filter(None, [kernel_fault()])
    found = find_comfyui(comfyui)
    broken += filter(None, (each.fault for each in found))
    broken += filter(None, map(_copies_fault, found))
    return Examination(
        versions=versions(),
        devices=devices,
        kernels=kernels,
        memory=find_memory(),
        extras=find_extras(),
        models=models,
        models_folder=folder,
        comfyui=found,
        broken=broken,
    )


def versions() -> dict[str, str]:
    """Of the program, Python, the system, and the libraries that everything needs."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    known = {"swin2sr": __version__, "python": platform.python_version(), "system": system}
    return known | {name: version_of(name) or "missing" for name in BASE}


def _tried(look: Callable[[], _T], broken: list[str]) -> _T | None:
    try:
        return look()
    except Swin2SRError as error:
        broken.append(str(error))
        return None


def _devices(broken: list[str]) -> list[DeviceFinding]:
    try:
        return find_devices()
    except (ImportError, OSError) as error:
        broken.append(f"torch cannot be loaded ({error}); install it: pip install torch")
        return []


def _model_fault(row: ModelRow) -> str:
    entry = row.entry
    if row.path is None:
        reinstall = f"{entry.file_name}, which belongs to the package, is gone: reinstall swin2sr"
        return reinstall if entry.bundled else ""
    # A converted twin has another size. Whole files are checked by `models verify`.
    if row.path.name == entry.file_name and entry.size not in (None, row.bytes):
        return (
            f"{entry.name} has {row.bytes:,} bytes, not {entry.size:,}: the file is damaged; "
            "delete it and download it again"
        )
    return ""


def _copies_fault(found: ComfyUIFinding) -> str:
    if found.copies < 2:
        return ""
    return (
        f"{found.copies} folders in {found.path / 'custom_nodes'} have this pack, of which ComfyUI "
        "takes one; remove the others"
    )
