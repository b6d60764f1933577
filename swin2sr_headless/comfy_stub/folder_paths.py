"""Stand-in for ComfyUI's `folder_paths`: where models, input and output are. Paths are strings."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

__all__ = [
    "add_model_folder_path",
    "exists_annotated_filepath",
    "folder_names_and_paths",
    "get_annotated_filepath",
    "get_filename_list",
    "get_folder_paths",
    "get_full_path",
    "get_input_directory",
    "get_output_directory",
    "get_save_image_path",
    "get_temp_directory",
    "get_user_directory",
    "models_dir",
    "set_input_directory",
    "set_output_directory",
    "set_temp_directory",
]

_MODEL_SUFFIXES = (".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft")

_base = Path()
_moved: dict[str, str] = {}
"""Folders that are not below the base directory, by name."""

models_dir = ""
folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {}
"""Per kind of model: its folders, the default one first, and the file suffixes it lists."""


def reset(base_directory: Path) -> None:
    """Start over with ComfyUI's layout below `base_directory`; nothing is created on disk."""
    global _base, models_dir
    _base = base_directory.absolute()
    models_dir = str(_base / "models")
    _moved.clear()
    folder_names_and_paths.clear()
    for kind in ("checkpoints", "upscale_models"):
        folder_names_and_paths[kind] = ([str(_base / "models" / kind)], set(_MODEL_SUFFIXES))


def get_input_directory() -> str:
    return _moved.get("input", str(_base / "input"))


def get_output_directory() -> str:
    return _moved.get("output", str(_base / "output"))


def get_temp_directory() -> str:
    return _moved.get("temp", str(_base / "temp"))


def set_input_directory(input_dir: str) -> None:
    _moved["input"] = input_dir


def set_output_directory(output_dir: str) -> None:
    _moved["output"] = output_dir


def set_temp_directory(temp_dir: str) -> None:
    _moved["temp"] = temp_dir


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


# -- names of inputs and outputs -----------------------------------------------------------------


def get_annotated_filepath(name: str, default_dir: str | None = None) -> str:
    """The path of an input; "name [output]" and "name [temp]" are in those folders."""
    folders = {
        " [output]": get_output_directory,
        " [input]": get_input_directory,
        " [temp]": get_temp_directory,
    }
    for ending, folder in folders.items():
        if name.endswith(ending):
            return str(Path(folder(), name.removesuffix(ending)))
    return str(Path(default_dir or get_input_directory(), name))


def exists_annotated_filepath(name: str) -> bool:
    return Path(get_annotated_filepath(name)).exists()


def get_save_image_path(
    filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
) -> tuple[str, str, int, str, str]:
    """Where files of that prefix go: folder, name, next number, subfolder, prefix.

    The folder is made; the number is one more than the largest that is there. Raises ValueError
    for a prefix that leads out of `output_dir`.
    """
    prefix = _filled_in(filename_prefix, image_width, image_height)
    subfolder, name = os.path.split(os.path.normpath(prefix))
    folder = Path(output_dir, subfolder)
    if Path(subfolder).is_absolute() or os.pardir in Path(subfolder).parts:
        raise ValueError(f"the prefix {prefix} leads out of the output folder {output_dir}")
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [_number(file.name, name) for file in folder.iterdir()]
    return str(folder), name, max(numbers, default=0) + 1, subfolder, prefix


def _number(file: str, name: str) -> int:
    """The counter in "name_00012_.png"; 0 where there is none."""
    own = os.path.normcase(file[: len(name) + 1]) == os.path.normcase(f"{name}_")
    digits = re.match(r"\s*([+-]?\d+)\s*(?:_|$)", file[len(name) + 1 :]) if own else None
    return int(digits[1]) if digits else 0


def _filled_in(prefix: str, width: int, height: int) -> str:
    values = {"width": str(width), "height": str(height)}
    names = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S"}
    now = time.localtime()
    values |= {name: time.strftime(code, now) for name, code in names.items()}
    return re.sub(r"%(\w+)%", lambda match: values.get(match[1], match[0]), prefix)
