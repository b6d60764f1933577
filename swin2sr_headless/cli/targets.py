"""Where each upscaled picture goes, decided and checked before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from swin2sr_core.errors import InputError, OutputExistsError
from swin2sr_core.pictures.files.encoders import FORMATS, format_of

FALLBACK_SUFFIX = ".png"
COMPARISON = "_compare"


@dataclass(frozen=True)
class Target:
    """One picture to upscale: `comparison` is where the before-and-after picture goes, if any.

    may_replace: whether it takes the place of what is there, also without --overwrite.
    """

    source: Path
    output: Path
    comparison: Path | None
    may_replace: bool = False

    @property
    def files(self) -> list[Path]:
        """All that will be written."""
        return [self.output, *([self.comparison] if self.comparison else [])]


@dataclass(frozen=True)
class Naming:
    """How outputs are called.

    output: what the user gave: None (beside each source), a folder (it exists, has no suffix, ends
        with a separator, or `into_folder` says that it has to be one), or the one source's file.
    label: what is put behind the stem: "_x4".
    suffix: of the outputs, ".webp"; None for the sources' own.
    below: for each source, the folder below `output` that it goes into.
    """

    output: str | None
    label: str
    into_folder: bool = False
    suffix: str | None = None
    below: Sequence[Path] = field(default_factory=tuple)


def proposed_targets(
    sources: Sequence[Path], naming: Naming, compare: bool = False
) -> list[Target]:
    """What would be written for each source, in order; InputError for what cannot be meant."""
    targets = []
    for source, path in zip(sources, _outputs(sources, naming), strict=True):
        format_of(path)
        comparison = path.with_name(f"{path.stem}{COMPARISON}.png") if compare else None
        targets.append(Target(source, path, comparison))
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


def check_distinct(targets: Sequence[Target]) -> None:
    """Raises InputError where two sources would become one file, or a source itself."""
    owners: dict[str, Path] = {}
    for target in targets:
        for file in target.files:
            other = owners.setdefault(_key(file), target.source)
            if other is not target.source:
                raise InputError(
                    f"{other} and {target.source} would both become {file}; rename one, or upscale "
                    "them one by one with -o"
                )


def check_not_inputs(targets: Sequence[Target]) -> None:
    """Raises InputError where a picture would be replaced by its own enlargement."""
    sources = {_key(target.source) for target in targets}
    for target in targets:
        for file in target.files:
            if _key(file) in sources:
                raise InputError(
                    f"{file} would take the place of a picture to be upscaled; choose another -o "
                    "or --suffix"
                )


def _outputs(sources: Sequence[Path], naming: Naming) -> list[Path]:
    names = [_name(source, naming) for source in sources]
    output = naming.output
    if output is None:
        return [source.with_name(name) for source, name in zip(sources, names, strict=True)]
    path = Path(output).expanduser()
    if not (naming.into_folder or len(sources) > 1 or _is_folder(path, output)):
        if naming.suffix not in (None, path.suffix.lower()):
            raise InputError(
                f"-o {path} names one format and --format another ({naming.suffix}); leave one out"
            )
        return [path]
    if path.is_file() or (path.suffix.lower() in FORMATS and not path.is_dir()):
        raise InputError(
            f"-o {path} names one file for what may be many pictures; name a folder instead"
        )
    below = naming.below or [Path()] * len(sources)
    return [path / place / name for place, name in zip(below, names, strict=True)]


def _is_folder(path: Path, typed: str) -> bool:
    """Whether -o means a folder: it is one, or it looks like one."""
    return path.is_dir() or typed.endswith(("/", os.sep)) or not (path.suffix or path.exists())


def _name(source: Path, naming: Naming) -> str:
    return f"{source.stem}{naming.label}{naming.suffix or written_suffix(source)}"


def written_suffix(source: Path) -> str:
    """The suffix of a picture's output: its own, where that is of a format that can be written."""
    return source.suffix if source.suffix.lower() in FORMATS else FALLBACK_SUFFIX


def check_absent(files: Sequence[Path]) -> None:
    """Raises OutputExistsError where anything is there."""
    present = [file for file in files if os.path.lexists(file)]
    if not present:
        return
    what = f"the output {present[0]} exists"
    if len(present) > 1:
        what = f"{len(present)} of {len(files)} outputs exist (the first is {present[0]})"
    raise OutputExistsError(
        f"{what} already; allow it with --overwrite, go on beside it with --skip-existing, or "
        "choose another -o"
    )


def _key(path: Path) -> str:
    return os.path.normcase(path.absolute())
