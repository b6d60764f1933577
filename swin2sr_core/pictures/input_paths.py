"""What a user names on a command line, as a list of picture files."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .files.formats import FORMATS
from .files.readable import FIRST, missing_package, suffixes

PICTURE_SUFFIXES = suffixes()
"""How names of picture files end, in lower case: of those that can be read here."""
_SHOWN = 12


@dataclass(frozen=True)
class Inputs:
    """Picture files in the order given, and the files of folders that are no pictures."""

    files: tuple[Path, ...]
    left_out: tuple[Path, ...] = ()

    @property
    def notice(self) -> str | None:
        """One sentence that names what was left out; None where that is nothing."""
        if not self.left_out:
            return None
        names = [_named(path) for path in self.left_out[:_SHOWN]]
        more = len(self.left_out) - len(names)
        names += [f"{more} more"] if more else []
        count = len(self.left_out)
        what = "1 file is" if count == 1 else f"{count} files are"
        return f"{what} left out, not of a kind that is read here: {', '.join(names)}"


def expand_inputs(arguments: Sequence[str | Path]) -> list[Path]:
    """The `files` of `find_inputs`."""
    return list(find_inputs(arguments).files)


def find_inputs(arguments: Sequence[str | Path]) -> Inputs:
    """The picture files behind files, folders and patterns, in the order given, none twice.

    A file is taken as it is, whatever its name. A folder stands for the pictures directly in it,
    a pattern ("shots/*.png", "**" for folders below) for the pictures it matches, both by suffix
    and sorted. What a folder has besides is `left_out`, but for hidden files.

    Raises InputError for a name that does not exist, and for a folder or pattern without pictures.
    """
    found: dict[Path, Path] = {}
    others: dict[Path, Path] = {}
    for argument in arguments:
        files, left_out = _expand(Path(argument).expanduser())
        for path in files:
            found.setdefault(path.resolve(), path)
        for path in left_out:
            others.setdefault(path.resolve(), path)
    left = tuple(path for place, path in others.items() if place not in found)
    return Inputs(tuple(found.values()), left)


def _expand(path: Path) -> tuple[list[Path], list[Path]]:
    """Pictures, and what is none."""
    if path.is_dir():
        inside = sorted(each for each in path.iterdir() if each.is_file())
        files = _pictures(inside)
        if not files:
            raise _none(f"the folder {path} has no pictures in it")
        others = [each for each in inside if not _is_picture(each)]
        return files, [each for each in others if not each.name.startswith(".")]
    if path.exists():
        return [path], []
    if not glob.has_magic(str(path)):
        raise InputError(f"there is no file or folder {path}; check the name")
    # Path.glob wants a folder to start from and a relative pattern
    matches = map(Path, glob.iglob(str(path), recursive=True))  # noqa: PTH207
    files = _pictures(each for each in matches if each.is_file())
    if not files:
        raise _none(f"the pattern {path} matches no picture")
    return files, []


def _pictures(files: Iterable[Path]) -> list[Path]:
    return sorted(path for path in files if _is_picture(path))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _named(path: Path) -> str:
    package = missing_package(path.suffix)
    return f"{path.name} (pip install {package})" if package else path.name


def _none(what: str) -> InputError:
    usual = ", ".join(sorted(suffix for suffix, kind in FORMATS.items() if kind in FIRST))
    return InputError(f"{what} ({usual}, and others that Pillow reads); check the name")
