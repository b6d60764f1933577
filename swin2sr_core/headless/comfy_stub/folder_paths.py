"""Stand-in for ComfyUI's `folder_paths`: where models, input and output are. Paths are strings."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = [
    "add_model_folder_path",
    "folder_names_and_paths",
    "get_filename_list",
    "get_folder_paths",
    "get_full_path",
    "get_input_directory",
    "get_output_directory",
    "get_temp_directory",
    "get_user_directory",
    "models_dir",
]

_MODEL_SUFFIXES = (".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft")

_base = Path()
models_dir = ""
folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {}
"""Per kind of model: its folders, the default one first, and the file suffixes it lists."""


def reset(base_directory: Path) -> None:
    """Start anew with ComfyUI's layout below `base_directory`; nothing is created on disk."""
    global _base, models_dir
    _base = base_directory.absolute()
    models_dir = str(_base / "models")
    folder_names_and_paths.clear()
    for kind in ("checkpoints", "upscale_models"):
        folder_names_and_paths[kind] = ([str(_base / "models" / kind)], set(_MODEL_SUFFIXES))


def get_input_directory() -> str:
    return str(_base / "input")


def get_output_directory() -> str:
    return str(_base / "output")


def get_temp_directory() -> str:
    return str(_base / "temp")


def get_user_directory() -> str:
    return str(_base / "user")


def add_model_folder_path(
    folder_name: str, full_folder_path: str, is_default: bool = False
) -> None:
    """Add a folder to a kind of model, first where it is the default; a new kind lists any file."""
    paths, _ = folder_names_and_paths.setdefault(folder_name, ([], set()))
    if full_folder_path in paths:
        if not is_default:
            return
        paths.remove(full_folder_path)
    paths.insert(0 if is_default else len(paths), full_folder_path)


def get_folder_paths(folder_name: str) -> list[str]:
    return list(folder_names_and_paths[folder_name][0])


def get_full_path(folder_name: str, filename: str) -> str | None:
    """The file of that relative name in the first folder that has it; it can't be outside."""
    inside = os.path.relpath(Path("/", filename), "/")
    folders, _ = folder_names_and_paths.get(folder_name, ([], set()))
    paths = (Path(folder, inside) for folder in folders)
    return next((str(path) for path in paths if path.is_file()), None)


def get_filename_list(folder_name: str) -> list[str]:
    """The relative names of the files of a kind, sorted, those in subfolders included."""
    folders, suffixes = folder_names_and_paths[folder_name]
    names = {
        str(Path(place, name).relative_to(folder))
        for folder in folders
        for place, _, files in os.walk(folder, followlinks=True)
        for name in files
        if not suffixes or Path(name).suffix.lower() in suffixes
    }
    return sorted(names)
