"""Where each upscaled picture goes, decided and checked before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from swin2sr_core.errors import InputError, OutputExistsError
from swin2sr_core.pictures.files.encoders import FORMATS, format_of

FALLBACK_SUFFIX = ".png"


@dataclass(frozen=True)
class Target:
    """One picture to upscale: `comparison` is where the before-and-after picture goes, if any."""

    source: Path
    output: Path
    comparison: Path | None

    @property
    def files(self) -> list[Path]:
        """All that will be written."""
        return [self.output, *([self.comparison] if self.comparison else [])]


def plan_targets(
    sources: Sequence[Path],
    output: str | None,
    label: str,
    *,
    into_folder: bool = False,
    compare: bool = False,
    overwrite: bool = False,
) -> list[Target]:
    """What to write for each source, in order.

    output: what the user gave: None (beside each source), a folder (it exists, ends with a
        separator, or `into_folder` says that it has to be one), or the one source's file.
    label: what is put behind the stem: "_x4".

    Raises InputError for an output that cannot be meant, and for two sources with one output;
    OutputExistsError, unless `overwrite`, where anything is there already.
    """
    targets = []
    for path in _outputs(sources, output, label, into_folder):
        format_of(path)
        comparison = path.with_name(f"{path.stem}_compare.png") if compare else None
        targets.append(Target(sources[len(targets)], path, comparison))
    _check_distinct(targets)
    if not overwrite:
        _check_absent([file for target in targets for file in target.files])
    return targets


@contextmanager
def folder_of(path: Path) -> Iterator[None]:
    """Make the folder that `path` goes into, and take it back if the block fails and left it empty.

    Raises InputError where that is not possible.
    """
    folder = path.parent
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the output folder {folder}: {error.strerror or error}; choose another"
        ) from error
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for place in made:
                place.rmdir()
        raise


def _outputs(
    sources: Sequence[Path], output: str | None, label: str, into_folder: bool
) -> list[Path]:
    names = [_name(source, label) for source in sources]
    if output is None:
        return [source.with_name(name) for source, name in zip(sources, names, strict=True)]
    path = Path(output).expanduser()
    separators = ("/", os.sep)
    if not (into_folder or len(sources) > 1 or path.is_dir() or output.endswith(separators)):
        return [path]
    if path.is_file() or (path.suffix.lower() in FORMATS and not path.is_dir()):
        raise InputError(
            f"-o {path} names one file for what may be many pictures; name a folder instead"
        )
    return [path / name for name in names]


def _name(source: Path, label: str) -> str:
    known = source.suffix.lower() in FORMATS
    return f"{source.stem}{label}{source.suffix if known else FALLBACK_SUFFIX}"


def _check_distinct(targets: Sequence[Target]) -> None:
    owners: dict[str, Path] = {}
    for target in targets:
        for file in target.files:
            other = owners.setdefault(os.path.normcase(file.absolute()), target.source)
            if other is not target.source:
                raise InputError(
                    f"{other} and {target.source} would both become {file}; rename one, or upscale "
                    "them one by one with -o"
                )


def _check_absent(files: Sequence[Path]) -> None:
    present = [file for file in files if os.path.lexists(file)]
    if not present:
        return
    what = f"the output {present[0]} exists"
    if len(present) > 1:
        what = f"{len(present)} of {len(files)} outputs exist (the first is {present[0]})"
    raise OutputExistsError(f"{what} already; allow it with --overwrite, or choose another -o")
