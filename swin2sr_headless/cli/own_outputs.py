"""Outputs never become inputs: what this command has written, or is about to write, is left out."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from swin2sr_core.pictures.input_paths import InputPicture

from .records import Records
from .targets import COMPARISON, Target

_LABELS = re.compile(rf"(_x\d+(\.\d+)?|_\d+px|_\d+(\.\d+)?MP)?({re.escape(COMPARISON)})?$")
"""What this command puts behind stems, whatever the scale was."""


def without_outputs(
    pictures: Sequence[InputPicture],
    targets: Sequence[Target],
    records: Records,
    suffix: str,
    out: str | None = None,
) -> tuple[list[InputPicture], list[Path]]:
    """The pictures that are to be upscaled, and those that are outputs of it, now or before.

    targets: what would be written if all of them were upscaled; suffix: what is put behind stems;
    out: the folder for outputs, if it was named: what a search that goes down finds in there is
    none of its pictures.

    A file of the plan is no input, nor one named like an output of another picture here, nor one
    that the records know as made, unless the user has named it: who types one name means it.
    """
    if len(pictures) == 1 and pictures[0].named:
        return list(pictures), []
    planned = _planned(targets)
    names = {_key(picture.path.with_suffix("")) for picture in pictures}
    kept: list[InputPicture] = []
    left_out: list[Path] = []
    for picture in pictures:
        path = picture.path
        own = planned.get(_key(path), path) != path or _is_named_after(path, suffix, names)
        found = not picture.named and (records.made(path) is not None or _lies_in(picture, out))
        if own or found:
            left_out.append(path)
        else:
            kept.append(picture)
    return kept, left_out


def _planned(targets: Sequence[Target]) -> dict[str, Path]:
    """Every file that would be written, and what it would be made of."""
    return {_key(file): target.source for target in targets for file in target.files}


def _is_named_after(path: Path, suffix: str, names: set[str]) -> bool:
    """Whether a name is another picture's with one or more of our labels behind it."""
    stem = path.stem
    while True:
        shorter = _shortened(stem, suffix)
        if shorter in ("", stem):
            return False
        stem = shorter
        if _key(path.with_name(stem)) in names:
            return True


def _shortened(stem: str, suffix: str) -> str:
    without = _LABELS.sub("", stem)
    return without.removesuffix(suffix) if suffix and without == stem else without


def _lies_in(picture: InputPicture, out: str | None) -> bool:
    if out is None or picture.below == Path():
        return False
    return picture.path.resolve().is_relative_to(Path(out).expanduser().resolve())


def _key(path: Path) -> str:
    return os.path.normcase(path.absolute())
