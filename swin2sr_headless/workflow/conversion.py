"""Files in the page's format -> files in API format: one, or a folder of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swin2sr_core.errors import InputError
from swin2sr_core.pictures.files.output_file import output_file

from .document.definitions import Definitions
from .document.graph import to_api
from .document.source import read_workflow
from .problems import Problem, WorkflowError
from .report import EXIT_CODES

_SUFFIXES = (".json", ".png", ".webp")

Told = Callable[[int, int, str], None]
"""(files done, of how many, the one that is next)."""


@dataclass(frozen=True)
class Converted:
    """What became of one file: `target` is None where it was refused, and `problems` says why."""

    source: Path
    target: Path | None
    nodes: int
    seconds: float
    problems: tuple[Problem, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """JSON-able."""
        return {
            "source": str(self.source),
            "path": None if self.target is None else str(self.target),
            "status": "refused" if self.target is None else "done",
            "nodes": self.nodes,
            "seconds": round(self.seconds, 4),
            "errors": [problem.to_dict() for problem in self.problems],
        }


@dataclass
class Conversion:
    """What to convert where: pairs of a workflow and its target, and the classes there are."""

    pairs: list[tuple[Path, Path]]
    definitions: Definitions
    overwrite: bool = False
    done: list[Converted] = field(default_factory=list)

    def run(self, told: Told | None = None, should_stop: Callable[[], bool] | None = None) -> None:
        """Convert one after the other into `done`; what is refused does not stop the others.

        Raises KeyboardInterrupt as soon as `should_stop` says so.
        """
        for number, (source, target) in enumerate(self.pairs):
            if told is not None:
                told(number, len(self.pairs), source.name)
            if should_stop is not None and should_stop():
                raise KeyboardInterrupt
            self.done.append(self._one(source, target))

    def _one(self, source: Path, target: Path) -> Converted:
        begun = time.perf_counter()
        try:
            graph = read_workflow(source).graph(self.definitions, _unknown)
            text = json.dumps(to_api(graph), indent=2, ensure_ascii=False)
            target.parent.mkdir(parents=True, exist_ok=True)
            with output_file(target, overwrite=self.overwrite) as file:
                file.write(text.encode("utf-8", "surrogatepass"))
        except WorkflowError as error:
            return Converted(source, None, 0, time.perf_counter() - begun, error.problems)
        except (InputError, OSError) as error:
            problem = Problem(str(error), "output")
            return Converted(source, None, 0, time.perf_counter() - begun, (problem,))
        return Converted(source, target, len(graph), time.perf_counter() - begun)


def document_of(
    status: str, done: Sequence[Converted], seconds: float, errors: Sequence[Problem] = ()
) -> dict[str, object]:
    """What came of it, JSON-able. errors: of the command itself; files have their own."""
    refused = sum(each.target is None for each in done)
    return {
        "status": status,
        "exit_code": EXIT_CODES[status],
        "seconds": round(seconds, 3),
        "converted": len(done) - refused,
        "refused": refused,
        "files": [each.to_dict() for each in done],
        "errors": [error.to_dict() for error in errors],
    }


def pairs_of(source: Path, place: str) -> list[tuple[Path, Path]]:
    """What `source`, a file or a folder with those below it, becomes: (file, target).

    place: a folder where `source` is one, where it is there already, or where it ends like one;
    else a file. A target is never one of the sources. Raises WorkflowError.
    """
    out = Path(place).expanduser()
    if source.is_dir():
        found = list(_workflows(source, out))
        if not found:
            raise WorkflowError.of(
                f"there are no workflows in {source}: expected .json, .png or .webp files",
                "unreadable",
            )
        pairs = [(path, out / path.relative_to(source).with_suffix(".json")) for path in found]
    else:
        as_folder = out.is_dir() or place.endswith(("/", "\\"))
        pairs = [(source, out / f"{source.stem}.json" if as_folder else out)]
    _check(pairs)
    return pairs


def _workflows(folder: Path, out: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = out.resolve() != folder.resolve() and path.resolve().is_relative_to(out.resolve())
        if path.suffix.lower() in _SUFFIXES and path.is_file() and not inside:
            yield path


def _check(pairs: list[tuple[Path, Path]]) -> None:
    sources = {source.resolve() for source, _ in pairs}
    seen: dict[Path, Path] = {}
    for source, target in pairs:
        if target.resolve() in sources:
            raise WorkflowError.of(
                f"{source.name} would be written over {target}, which is one of the workflows; "
                "choose another -o",
                "usage",
            )
        other = seen.setdefault(target.resolve(), source)
        if other != source:
            raise WorkflowError.of(
                f"{other.name} and {source.name} would both become {target}; rename one", "usage"
            )


def _unknown(class_type: str) -> str:
    return (
        "the definitions that were given do not have this node; take those of a ComfyUI that has "
        "it with --definitions"
    )
