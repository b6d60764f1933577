"""All that touches ComfyUI's runtime: folders, devices, memory, progress, interruption."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import comfy.model_management as mm
import folder_paths
import torch
from comfy.model_patcher import ModelPatcher
from comfy.utils import ProgressBar
from PIL import Image
from torch import Tensor, nn

from ..swin2sr_core.machine.devices import free_bytes as system_free_bytes
from ..swin2sr_core.machine.host_memory import resident_bytes
from ..swin2sr_core.planning.budget import Room

__all__ = [
    "MODEL_FOLDERS",
    "ModelPatcher",
    "Progress",
    "ResidentMemory",
    "available_bytes",
    "bytes_beside",
    "compute_device",
    "download_folder",
    "free_bytes",
    "interrupted",
    "load",
    "make_room",
    "managed",
    "model_file",
    "model_files",
    "model_folders",
    "offload_device",
    "output_device",
    "output_tensor",
    "raise_if_interrupted",
    "register_model_folder",
    "release_cache",
    "room",
    "temp_folder",
    "user_folder",
]

MODEL_FOLDERS = ("swin2sr", "upscale_models")
"""The kinds of ComfyUI's model folders that are looked into, in this order."""

_SUFFIXES = {".safetensors", ".pth", ".onnx"}
_BAR_SECONDS = 0.1
_PREVIEW_SECONDS = 0.5
_PREVIEW_SIDE = 512

# -- folders -------------------------------------------------------------------------------------


def register_model_folder() -> None:
    """Tell ComfyUI about models/swin2sr; folders of extra_model_paths.yaml stay as they are."""
    kind = MODEL_FOLDERS[0]
    default = str(Path(folder_paths.models_dir) / kind)
    folder_paths.add_model_folder_path(kind, default, is_default=True)
    folder_paths.folder_names_and_paths[kind][1].update(_SUFFIXES)


def model_folders() -> list[Path]:
    """Every folder of `MODEL_FOLDERS`, the one for downloads first."""
    return [
        Path(folder) for kind in MODEL_FOLDERS for folder in folder_paths.get_folder_paths(kind)
    ]


def download_folder() -> Path:
    return model_folders()[0]


def temp_folder() -> Path:
    """Where pictures lie that are only looked at; ComfyUI empties it when it starts."""
    return Path(folder_paths.get_temp_directory())


def user_folder() -> Path:
    """Where settings and what was learnt about this machine are kept."""
    return Path(folder_paths.get_user_directory())


def model_files(kind: str) -> list[str]:
    """The names, relative to their folder, of the files in one kind of folder."""
    return folder_paths.get_filename_list(kind)


def model_file(name: str) -> Path | None:
    """The file that `model_files` calls `name`, from the first kind of folder that has it."""
    found = (folder_paths.get_full_path(kind, name) for kind in MODEL_FOLDERS)
    return next((Path(path) for path in found if path is not None), None)


# -- devices and memory --------------------------------------------------------------------------


def compute_device() -> torch.device:
    return mm.get_torch_device()


def offload_device() -> torch.device:
    """Where models wait while they are not used."""
    return mm.unet_offload_device()


def free_bytes(device: torch.device) -> int:
    """What new tensors may take now without unloading anything; a container's limit counts, too."""
    free = int(mm.get_free_memory(device))
    known = system_free_bytes(device) if device.type == "cpu" else None
    return free if known is None else min(free, known)


def available_bytes(device: torch.device) -> int:
    """What new tensors may take once ComfyUI has unloaded all other models."""
    if device.type == "cpu":
        return free_bytes(device)
    return max(free_bytes(device), int(mm.get_total_memory(device) * 0.9))


def room(taken: int = 0, kept: int = 0) -> Room:
    """The memory of the device that computes, less `taken` bytes that have to be there besides.

    `kept` bytes of finished pictures have to be on the device that keeps them.
    """
    device = compute_device()
    if device.type == "cpu":
        return Room(free_bytes(device), None, taken + kept, str(device))
    resident = _keeps_pictures(device)
    host = free_bytes(torch.device("cpu")) - (0 if resident else kept)
    taken += kept if resident else 0
    free = _free_without_unloading(device, taken)
    return Room(free, available_bytes(device), taken, str(device), host, resident)


def _free_without_unloading(device: torch.device, taken: int) -> int:
    """What new tensors may take so that ComfyUI unloads no other model for them.

    It wants a reserve beside what is asked for, and never less than a minimum: where that is not
    free, it unloads however little is asked for.
    """
    free = free_bytes(device)
    if free < mm.minimum_inference_memory() + taken:
        return 0
    return int(free - mm.extra_reserved_memory())


def make_room(size: int, device: torch.device) -> None:
    """Have ComfyUI unload models until `size` bytes are free there, as far as that goes."""
    mm.free_memory(size, device)


def managed(module: nn.Module, stays: torch.device | None = None) -> ModelPatcher:
    """`module` in ComfyUI's care: loaded when used, unloaded when others need the room.

    One that `stays` on a device is never moved from there.
    """
    places = (stays, stays) if stays is not None else (compute_device(), offload_device())
    return ModelPatcher(module, load_device=places[0], offload_device=places[1])


def load(patcher: ModelPatcher, working_bytes: int) -> None:
    """Have a model loaded whole, and `working_bytes` free besides it on its device."""
    mm.load_models_gpu([patcher], memory_required=working_bytes, force_full_load=True)
    if patcher.model.core.device != patcher.load_device:  # --novram, or moved by another node
        patcher.model.to(patcher.load_device)


def output_device() -> torch.device:
    """Where ComfyUI keeps pictures between nodes."""
    return mm.intermediate_device()


def output_tensor(*shape: int) -> Tensor:
    """An empty B H W C tensor where, and of the type in which, ComfyUI keeps pictures."""
    dtype = getattr(mm, "intermediate_dtype", lambda: torch.float32)()
    return torch.empty(shape, dtype=dtype, device=output_device())


def bytes_beside(shape: tuple[int, ...]) -> int:
    """What such an output takes on the card that computes: nothing where it is kept elsewhere."""
    return math.prod(shape) * 4 if _keeps_pictures(compute_device()) else 0


def _keeps_pictures(device: torch.device) -> bool:
    """Whether it is a card on which ComfyUI keeps pictures between nodes (--gpu-only)."""
    return device.type != "cpu" and output_device() == device


class ResidentMemory:
    """How far the process has grown since this was made, at its highest sample."""

    def __init__(self) -> None:
        self._start = self._most = resident_bytes()
        self._next = 0.0

    def sample(self) -> None:
        """Look at most every 20 ms: the operating system has to be asked."""
        now = time.monotonic()
        if self._most is not None and now >= self._next:
            self._most = max(self._most, resident_bytes() or 0)
            self._next = now + 0.02

    @property
    def growth(self) -> int | None:
        """In bytes; None where it is unknown."""
        if self._start is None or self._most is None:
            return None
        return self._most - self._start


def release_cache() -> None:
    """Give cached device memory back; once per node run."""
    mm.soft_empty_cache()


# -- progress and interruption -------------------------------------------------------------------


def interrupted() -> bool:
    """Whether the user cancelled; stays true until `raise_if_interrupted`."""
    return mm.processing_interrupted()


def raise_if_interrupted() -> None:
    """Raise ComfyUI's own exception, once, if the user cancelled."""
    mm.throw_exception_if_processing_interrupted()


class Progress:
    """The node's progress bar, with a picture now and then; every step checks for interruption."""

    def __init__(self, total: int = 1) -> None:
        self._bar = ProgressBar(total)
        self._next_step = self._next_preview = 0.0

    def __call__(self, done: int, total: int, picture: Callable[[], Tensor] | None = None) -> None:
        """Show `done` of `total`; `picture`, 3 H W, is asked for twice a second at most.

        The last step always shows it.
        """
        raise_if_interrupted()
        now = time.monotonic()
        if now < self._next_step and done < total:
            return
        self._next_step = now + _BAR_SECONDS
        preview = None
        if picture is not None and (now >= self._next_preview or done >= total):
            preview = ("JPEG", _thumbnail(picture()), _PREVIEW_SIDE)
            self._next_preview = time.monotonic() + _PREVIEW_SECONDS
        self._bar.update_absolute(done, total or None, preview)


def _thumbnail(picture: Tensor) -> Image.Image:
    """3 H W, in 0..1 or of 8 bits -> RGB, about `_PREVIEW_SIDE` long: every n-th pixel, quickly."""
    step = max(1, max(picture.shape[-2:]) // _PREVIEW_SIDE)
    pixels = picture[:, ::step, ::step]
    if pixels.dtype != torch.uint8:
        pixels = pixels.float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy(), "RGB")
