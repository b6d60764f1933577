"""--skip-existing: which outputs are there, whole and made the same way, and which are made again.

"The same way" is: of the same version of the source (its size and time of change), by the same
network (the sha256 of its file), with the same settings for what it computes and how it is written.
Memory limits are none of them, for whole and staged give the same picture; nor is the version of
this command, so that a batch can be gone on with after an update.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from PIL import Image

from swin2sr_core.models.catalog import resolve_model
from swin2sr_core.models.checksums import sha256_of
from swin2sr_core.planning.picture_plan import PictureSettings

from ..workflow.journal import version
from .records import Records
from .targets import Target

_UNKNOWN = (
    "it was there, whole and of the right size, and is kept; how it was made is not known "
    "(--overwrite makes it again)"
)


def way_of(
    models: Iterable[str], precision: str, settings: PictureSettings, writing: Sequence[object]
) -> str:
    """A digest of everything that outputs depend on besides their sources."""
    computed = asdict(settings) | {"max_memory": None}
    for name in ("streamed", "program_bytes"):  # of memory alone, too
        del computed[name]
    if settings.strategy in ("whole", "staged"):
        computed["strategy"] = "auto"
    sums = [sha256_of(resolve_model(name)) for name in models]
    content = json.dumps([sums, precision, computed, list(writing)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def is_made(target: Target, records: Records, how: str) -> bool:
    """Whether all files of a target are as this command has made them, of this source, this way."""
    source = version(target.source)
    for file in target.files:
        made = records.made(file)
        if made is None or made.how != how or dict(made.source_state) != source:
            return False
        if made.source != str(target.source.absolute()):
            return False
    return True


def kept_unknown(target: Target, records: Records, size: tuple[int, int]) -> str | None:
    """Why an output stays of which nothing is recorded: the cache is gone, or another has made it.

    size: what the output has to have. None where it has to be made again: it was begun by this
    command, is damaged, or has another size, so that it was made otherwise.
    """
    if any(records.begun(file) or not file.exists() for file in target.files):
        return None
    whole = _is_whole(target.output, size)
    return _UNKNOWN if whole and all(_is_whole(file) for file in target.files[1:]) else None


def to_replace(target: Target) -> Target:
    """The target, allowed to take the place of what is there."""
    return replace(target, may_replace=True)


def _is_whole(path: Path, size: tuple[int, int] | None = None) -> bool:
    try:
        with Image.open(path) as image:
            if size is not None and image.size != size:
                return False
            for frame in range(getattr(image, "n_frames", 1)):
                image.seek(frame)
                image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return True
