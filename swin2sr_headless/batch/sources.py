"""What a user names, on disks or elsewhere, as pictures with the places of their results."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from swin2sr_core.errors import InputError
from swin2sr_core.pictures.files.formats import format_of
from swin2sr_core.pictures.input_paths import find_inputs, is_film, picture_suffixes

from ..cli.targets import written_suffix
from .places import Remote, State, is_remote, place_of, state_of


@dataclass(frozen=True)
class Source:
    """A picture by its name; below: the folder it lies in below the one that was named.

    state: of its file, where the listing has told it.
    """

    name: str
    below: PurePosixPath = field(default_factory=PurePosixPath)
    state: State | None = None


@dataclass(frozen=True)
class Item:
    """A picture, and the name of its result."""

    source: Source
    output: str


@dataclass(frozen=True)
class Naming:
    """out: the folder for results; label: behind stems; suffix: None for the sources' own."""

    out: str
    label: str
    suffix: str | None


def read_list(path: str) -> list[str]:
    """The names in a file, one a line; - for standard input. Raises InputError."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the list {path}: {error}") from error
    return [line for line in text.splitlines() if line.strip()]


def find_sources(names: Sequence[str], recursive: bool, out: str) -> list[Source]:
    """In the order given, none twice; what lies in `out` below a named folder is left out.

    Raises InputError for what does not exist.
    """
    found: dict[str, Source] = {}
    for name in names:
        if is_film(Path(name)):
            raise InputError(f"{name} is a film; `swin2sr upscale {name}` enlarges it")
        sources = _remote(name, recursive) if is_remote(name) else _local(name, recursive)
        for source in sources:
            if not _inside(source, out):
                found.setdefault(source.name, source)
    return list(found.values())


def items_of(sources: Iterable[Source], naming: Naming) -> list[Item]:
    """With their results. Raises InputError where two become one, or one replaces a source."""
    items, owners = [], {}
    for source in sources:
        path = PurePosixPath(Path(source.name).as_posix())
        name = f"{path.stem}{naming.label}{naming.suffix or written_suffix(Path(path.name))}"
        format_of(Path(name))
        output = _joined(naming.out, source.below / name)
        other = owners.setdefault(output, source.name)
        if other != source.name:
            raise InputError(f"{other} and {source.name} would both become {output}; rename one")
        items.append(Item(source, output))
    for source in sources:
        if source.name in owners:
            raise InputError(f"{source.name} would be replaced by a result; choose another -o")
    return items


def _joined(out: str, below: PurePosixPath) -> str:
    return f"{out.rstrip('/')}/{below}" if is_remote(out) else str(Path(out) / below)


def _local(name: str, recursive: bool) -> Iterator[Source]:
    for picture in find_inputs([name], recursive).pictures:
        yield Source(str(picture.path.absolute()), PurePosixPath(picture.below.as_posix()))


def _remote(name: str, recursive: bool) -> Iterator[Source]:
    """A picture, those of a folder, or those that a pattern matches."""
    place = place_of(name)
    assert isinstance(place, Remote)
    system = place.system
    path = system._strip_protocol(name)
    if "*" in path:
        below, listed = None, system.glob(path, detail=True)
    elif system.isfile(path):
        yield Source(name, state=state_of(system.info(path)))
        return
    else:
        below, listed = path, system.find(path, maxdepth=None if recursive else 1, detail=True)
    infos: dict[str, Any] = listed
    taken = sorted(each for each in infos if _is_picture(each) and infos[each]["type"] == "file")
    if not taken:
        raise InputError(f"{name} is no picture, and none was found there; check the name")
    for each in taken:
        parent = PurePosixPath(each).parent
        relative = PurePosixPath() if below is None else parent.relative_to(below.rstrip("/"))
        yield Source(system.unstrip_protocol(each), relative, state_of(infos[each]))


def _is_picture(path: str) -> bool:
    name = PurePosixPath(path)
    return name.suffix.lower() in picture_suffixes() and not name.name.startswith(".")


def _inside(source: Source, out: str) -> bool:
    """Whether a search that went down has found a result of this batch."""
    if source.below == PurePosixPath():
        return False
    if is_remote(source.name) or is_remote(out):
        return source.name.startswith(f"{out.rstrip('/')}/")
    return Path(source.name).resolve().is_relative_to(Path(out).resolve())
