"""What a user names on a command line, as a list of picture files."""

from __future__ import annotations

import glob
import mimetypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from ..errors import InputError
from .files.formats import FORMATS


@lru_cache(maxsize=1)
def picture_suffixes() -> frozenset[str]:
    """How names of picture files end, in lower case: of those that can be read here.

    The installed Pillow is asked, and imported for it: not before there are files to look at.
    """
    from .files.readable import suffixes

    return frozenset(suffixes())


def __getattr__(name: str) -> object:
    if name == "PICTURE_SUFFIXES":
        return picture_suffixes()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_FILMS = frozenset(
    (
        ".avi",
        ".flv",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".ogv",
        ".webm",
        ".wmv",
    )
)
_NOT_IN_MIMETYPES = frozenset(
    (  # pictures, but not for every Python
        ".arw",
        ".avif",
        ".cr2",
        ".cr3",
        ".dds",
        ".dng",
        ".exr",
        ".hdr",
        ".heic",
        ".heif",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jxl",
        ".mpo",
        ".nef",
        ".orf",
        ".pcx",
        ".psd",
        ".qoi",
        ".raf",
        ".rw2",
        ".tga",
        ".xcf",
    )
)


@dataclass(frozen=True)
class InputPicture:
    """A picture file, and the folder it lies in below the one that was named: "." for that one.

    named: whether the user has named the file itself, and not a folder or a pattern.
    """

    path: Path
    below: Path = field(default_factory=Path)
    named: bool = False


@dataclass(frozen=True)
class Inputs:
    """The pictures behind what was named, and what folders and patterns have left out.

    `left_out` are files that look like pictures or films by their names; `folders` are folders with
    pictures that a search which does not go down has passed over.
    """

    pictures: tuple[InputPicture, ...]
    left_out: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()


def expand_inputs(arguments: Sequence[str | Path]) -> list[Path]:
    """The picture files behind files, folders and patterns, in the order given, none twice.

    A file is taken as it is, whatever its name. A folder stands for the pictures directly in it,
    a pattern ("shots/*.png", "**" for folders below) for the pictures it matches, both by suffix
    and sorted.

    Raises InputError for a name that does not exist, and for a folder or pattern without pictures.
    """
    return [picture.path for picture in find_inputs(arguments).pictures]


def find_inputs(arguments: Sequence[str | Path], recursive: bool = False) -> Inputs:
    """`expand_inputs`, and what it left out; with `recursive` folders stand for those below, too.

    Hidden files and folders are neither taken from a search that goes down nor told of.
    """
    found: dict[Path, InputPicture] = {}
    left_out: dict[Path, None] = {}
    folders: dict[Path, None] = {}
    for argument in arguments:
        inputs = _found(Path(argument).expanduser(), recursive)
        for picture in inputs.pictures:
            found.setdefault(picture.path.resolve(), picture)
        left_out.update(dict.fromkeys(inputs.left_out))
        folders.update(dict.fromkeys(inputs.folders))
    return Inputs(tuple(found.values()), tuple(left_out), tuple(folders))


def is_film(path: Path) -> bool:
    """Whether a name is a film's."""
    return path.suffix.lower() in _FILMS


def _found(path: Path, recursive: bool) -> Inputs:
    if path.is_dir():
        return _of_folder(path, recursive)
    if path.exists():
        return Inputs((InputPicture(path, named=True),))
    if not glob.has_magic(str(path)):
        raise InputError(f"there is no file or folder {path}; check the name")
    # Path.glob wants a folder to start from and a relative pattern
    matches = list(map(Path, glob.iglob(str(path), recursive=True)))  # noqa: PTH207
    pictures = tuple(map(InputPicture, _pictures(matches)))
    return Inputs(pictures or _none(f"the pattern {path} matches no picture"), _others(matches))


def _of_folder(folder: Path, recursive: bool) -> Inputs:
    if not recursive:
        inside = list(folder.iterdir())
        pictures = tuple(map(InputPicture, _pictures(inside)))
        below = tuple(sorted(p for p in inside if _is_visible_folder(p) and _pictures(p.iterdir())))
        what = f"the folder {folder} has no pictures in it"
        if below and not pictures:
            what += f", but {below[0]} has: --recursive takes them"
        return Inputs(pictures or _none(what), _others(inside), below)
    everything = [path for place in _tree(folder) for path in sorted(place.iterdir())]
    pictures = tuple(
        InputPicture(path, path.parent.relative_to(folder)) for path in _pictures(everything)
    )
    what = f"neither the folder {folder} nor those in it have pictures"
    return Inputs(pictures or _none(what), _others(everything))


def _tree(folder: Path) -> list[Path]:
    """The folder and all visible ones below; links to folders are not followed, for circles."""
    below = sorted(p for p in folder.iterdir() if _is_visible_folder(p) and not p.is_symlink())
    return [folder, *(deeper for each in below for deeper in _tree(each))]


def _is_visible_folder(path: Path) -> bool:
    return not path.name.startswith(".") and path.is_dir()


def _pictures(paths: Iterable[Path]) -> list[Path]:
    """Those that are read; hidden ones (macOS leaves "._photo.jpg" beside photo.jpg) are not."""
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in picture_suffixes()
        and not path.name.startswith(".")
        and path.is_file()
    )


def _others(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Those that a user may have expected among the pictures."""
    return tuple(
        sorted(
            path
            for path in paths
            if path.suffix.lower() not in picture_suffixes()
            and not path.name.startswith(".")
            and _looks_like_pictures(path)
            and path.is_file()
        )
    )


def _looks_like_pictures(path: Path) -> bool:
    suffix = path.suffix.lower()
    kind = mimetypes.guess_type(f"a{suffix}")[0] or ""
    return suffix in _FILMS | _NOT_IN_MIMETYPES or kind.startswith(("image/", "video/"))


def named(path: Path) -> str:
    """The file's name, and the package that would read it, if there is one."""
    from .files.readable import missing_package

    package = missing_package(path.suffix)
    return f"{path.name} (pip install {package})" if package else path.name


def _none(what: str) -> NoReturn:
    from .files.readable import FIRST

    usual = ", ".join(sorted(suffix for suffix, kind in FORMATS.items() if kind in FIRST))
    raise InputError(f"{what} ({usual}, and others that Pillow reads); check the name")
