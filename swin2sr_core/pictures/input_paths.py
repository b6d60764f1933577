"""What a user names on a command line, as a list of picture files."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import InputError

PICTURE_SUFFIXES = frozenset(
    (".png", ".apng", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif")
)
"""How names of picture files end, in lower case."""


def expand_inputs(arguments: Sequence[str | Path]) -> list[Path]:
    """The picture files behind files, folders and patterns, in the order given, none twice.

    A file is taken as it is, whatever its name. A folder stands for the pictures directly in it,
    a pattern ("shots/*.png", "**" for folders below) for the pictures it matches, both by suffix
    and sorted.

    Raises InputError for a name that does not exist, and for a folder or pattern without pictures.
    """
    found: dict[Path, Path] = {}
    for argument in arguments:
        for path in _expand(Path(argument).expanduser()):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _expand(path: Path) -> list[Path]:
    if path.is_dir():
        return _pictures(path.iterdir()) or _none(f"the folder {path} has no pictures in it")
    if path.exists():
        return [path]
    if not glob.has_magic(str(path)):
        raise InputError(f"there is no file or folder {path}; check the name")
    # Path.glob wants a folder to start from and a relative pattern
    matches = map(Path, glob.iglob(str(path), recursive=True))  # noqa: PTH207
    return _pictures(matches) or _none(f"the pattern {path} matches no picture")


def _pictures(paths: Iterable[Path]) -> list[Path]:
    return sorted(p for p in paths if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())


def _none(what: str) -> list[Path]:
    raise InputError(f"{what} ({', '.join(sorted(PICTURE_SUFFIXES))}); check the name")
