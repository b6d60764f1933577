"""The entries of Load Swin2SR's list, and which file or download each of them means."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

from ..swin2sr_core.errors import ModelNotFoundError, harmless
from ..swin2sr_core.export.onnx_file import SUFFIX as ONNX
from ..swin2sr_core.export.onnx_file import read_contract
from ..swin2sr_core.models.catalog import CATALOG, CatalogEntry, by_hand, locate, models_dir
from ..swin2sr_core.models.reader import SUFFIXES, read_contents
from . import host

logger = logging.getLogger(__name__)

DEFAULT = "compact-x4"
DOWNLOAD = " (download)"
"""Follows the name of an official checkpoint that is not on this machine yet."""

# Only Swin2SR has blocks with these names, in the authors' files and in those of transformers.
_MARKS = ("residual_group.blocks.0.attn.logit_scale", "swin2sr.encoder.stages.0.layers.0")

_UPSCALERS = tuple(entry for entry in CATALOG if entry.kind == "upscaler")


def choices() -> list[str]:
    """The bundled model, the Swin2SR files of the model folders, and what can be downloaded."""
    own, shared = (host.model_files(kind) for kind in host.MODEL_FOLDERS)
    own = [name for name in own if not name.lower().endswith(ONNX) or _is_swin2sr(name)]
    files = dict.fromkeys([*own, *(name for name in shared if _is_swin2sr(name))])
    listed = {Path(name).name for name in files}
    first = [entry.name for entry in _UPSCALERS if entry.bundled]
    others = []
    for entry in _UPSCALERS:
        path = None if entry.bundled else _on_disk(entry)
        if path is None and not entry.bundled:
            others.append(entry.name + DOWNLOAD)
        elif path is not None and path.name not in listed:
            others.append(entry.name)
    return [*first, *files, *others]


def find(choice: str) -> Path | CatalogEntry:
    """The file that an entry of the list means, or the catalog's entry if it is to be downloaded.

    An entry keeps its meaning when the list changes: a saved workflow that downloaded its model
    finds it here later. Raises ModelNotFoundError for a file that is gone and for unknown names.
    """
    name = choice.removesuffix(DOWNLOAD)
    if path := host.model_file(name):
        return path
    entry = next((e for e in _UPSCALERS if name in (e.name, e.file_name)), None)
    if entry is None:
        raise ModelNotFoundError.saying(
            "model_missing",
            "there is no model file {name} in {folders}; put it there, or choose another model",
            name=name,
            folders=_folders(),
        )
    path = _on_disk(entry)
    if path is None and not choice.endswith(DOWNLOAD):
        raise ModelNotFoundError.saying(
            "model_absent",
            "{name} is not on this machine: choose {choice}{download}, or, offline, {by_hand}",
            name=name,
            choice=entry.name,
            download=DOWNLOAD,
            by_hand=by_hand(entry, host.download_folder()),
        )
    return path or entry


def is_offered(choice: str) -> bool:
    """Whether the list has, or with other files on the disk would have, this entry.

    For names that come from outside: a path, or a file in another folder, is never one.
    """
    name = choice.removesuffix(DOWNLOAD)
    return any(name in (e.name, e.file_name) for e in _UPSCALERS) or choice in choices()


def downloadable(choice: str) -> CatalogEntry | None:
    """The official checkpoint that an entry of the list, or its plain name, means; else None."""
    name = choice.removesuffix(DOWNLOAD)
    return next((e for e in _UPSCALERS if e.name == name and not e.bundled), None)


def name_of(path: Path) -> str:
    """What a model is called in reports: the catalog's name for files that it knows."""
    return next((e.name for e in _UPSCALERS if e.file_name == path.name), path.stem)


def _on_disk(entry: CatalogEntry) -> Path | None:
    """The entry's file in ComfyUI's folders, or where the command line downloads to."""
    return locate(entry, host.download_folder(), [*host.model_folders(), *_command_line_folder()])


def _command_line_folder() -> list[Path]:
    try:
        return [models_dir()]
    except ModelNotFoundError:  # this system has no home folder
        return []


def _folders() -> str:
    return " or ".join(str(folder) for folder in host.model_folders())


def _is_swin2sr(name: str) -> bool:
    try:
        path = host.model_file(name)
        if path is None or path.suffix.lower() not in (*SUFFIXES, ONNX):
            return False
        stat = path.stat()
        return _has_marks(path, stat.st_mtime_ns, stat.st_size)
    except Exception as error:  # each file is judged alone: one must not take the node away
        logger.warning("%s is left out of the list of models: %s", harmless(name), harmless(error))
        return False


@lru_cache(maxsize=1024)
def _has_marks(path: Path, _mtime: int, _size: int) -> bool:
    """Whether a model file's table of contents names Swin2SR's tensors, or an exported file has a
    contract of ours. Nothing is unpickled.

    What cannot be read is told once, until the file changes.
    """
    try:
        if path.suffix.lower() == ONNX:
            return bool(read_contract(path))
        names = read_contents(path).names()
    except Exception as error:  # whatever a damaged file makes of parsers
        logger.warning("%s is left out of the list of models: %s", path.name, harmless(error))
        return False
    return any(mark in name for name in names for mark in _MARKS)
