"""One workflow for every picture of a folder; interrupted, it goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from swin2sr_core.errors import InputError
from swin2sr_core.models.lock import held
from swin2sr_core.pictures.input_paths import find_inputs, named

from .document.graph import to_api
from .journal import NAME, Journal, version
from .problems import HostError, Problem, WorkflowError
from .report import EXIT_CODES, Report
from .runner import Prepared, Session, Source
from .staging import named_inputs, remove

Told = Callable[[int, int, str], None]
"""(pictures done, of how many, the one that is next)."""


@dataclass(frozen=True)
class EachJob:
    """What to do: `inputs` and `values` as in Session.run; `pictures` take the place of `each_as`.

    each_as: the input that the pictures are, as the workflow names it; None: its only one.
    timeout: for each picture, in seconds. recursive: take the folders below as well, and keep them.
    """

    workflow: Source
    pictures: Path
    out: Path
    inputs: Mapping[str, Path] = field(default_factory=dict)
    values: Mapping[str, object] = field(default_factory=dict)
    each_as: str | None = None
    timeout: float | None = None
    recursive: bool = False


@dataclass
class EachReport:
    """How far a folder came. `made` are the pictures of this run, `kept` those of earlier ones.

    `notices` tell what was passed over: folders below, files that look like pictures.
    """

    status: str
    host: str
    total: int = 0
    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    errors: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    @property
    def summary(self) -> str:
        """One line for people."""
        parts = [f"{len(self.made)} of {self.total} pictures made"]
        parts += [f"{len(self.kept)} were there"] if self.kept else []
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        return f"{', '.join(parts)}, {self.seconds:.1f} s, on the host {self.host}"

    def to_dict(self) -> dict[str, object]:
        """JSON-able."""
        return {
            "status": self.status,
            "exit_code": self.exit_code,
            "host": self.host,
            "seconds": round(self.seconds, 3),
            "total": self.total,
            "made": self.made,
            "kept": self.kept,
            "failed": self.failed,
            "notices": self.notices,
            "errors": [error.to_dict() for error in self.errors],
        }


def run_each(
    session: Session,
    job: EachJob,
    should_stop: Callable[[], bool] | None = None,
    told: Told | None = None,
) -> EachReport:
    """Run the workflow once for each picture; nothing is raised, the report tells everything.

    Outputs are named after their pictures and appear whole. What the journal in `job.out` says is
    made is not made again. A picture that fails does not stop the others.
    """
    begun = time.perf_counter()
    report = EachReport("done", session.host.name)
    try:
        _Folder(session, job, report, should_stop or (lambda: False), told).run()
    except WorkflowError as error:
        report.status = "refused"
        report.errors += error.problems
    except (HostError, InputError) as error:
        report.status = "no_host" if isinstance(error, HostError) else "refused"
        report.errors.append(Problem(str(error), report.status))
    except KeyboardInterrupt:
        report.status = "interrupted"
        report.errors.append(Problem("interrupted; run it again to go on", "interrupted"))
    report.seconds = time.perf_counter() - begun
    return report


class _Folder:
    def __init__(
        self,
        session: Session,
        job: EachJob,
        report: EachReport,
        should_stop: Callable[[], bool],
        told: Told | None,
    ) -> None:
        self._session, self._job, self._report = session, job, report
        self._should_stop, self._told = should_stop, told
        if not job.pictures.is_dir():
            raise WorkflowError.of(f"there is no folder {job.pictures}; check --each", "usage")
        found = find_inputs([job.pictures], job.recursive)
        report.notices += [
            f"{path} was passed over; --recursive takes it" for path in found.folders
        ]
        report.notices += [f"{named(path)} was left out" for path in found.left_out]
        self._pictures = {
            (each.below / each.path.name).as_posix(): each.path for each in found.pictures
        }
        _check_apart(job, self._pictures.values())
        report.total = len(self._pictures)
        self._stems = Counter(_stem(name).casefold() for name in self._pictures)
        self._prepared = session.prepare(job.workflow, job.values)
        self._input = _chosen_input(self._prepared, job)

    def run(self) -> None:
        out = self._job.out
        out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(held(out / f".{NAME}.lock", _taken(out)))
            journal = stack.enter_context(closing(Journal(out, self._digest())))
            stack.callback(remove, journal.work_folder("").parent)
            self._check_free(journal)
            for number, (name, picture) in enumerate(self._pictures.items()):
                if self._told is not None:
                    self._told(number, len(self._pictures), name)
                if self._should_stop():  # a picture may be done before its own watch looks
                    raise KeyboardInterrupt
                if journal.is_made(name, picture):
                    self._report.kept.append(name)
                elif not self._make(name, picture, journal):
                    return
        if self._report.failed:
            self._report.status = "failed"

    def _check_free(self, journal: Journal) -> None:
        """Refuse before anything runs where a picture's usual output would replace someone's file.

        Other endings than .png are known when a picture is made, and checked again then.
        """
        names = (f"{self._output_stem(name)}.png" for name in self._pictures)
        foreign = [name for name in names if journal.is_foreign(name)]
        if foreign:
            more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
            raise _in_the_way(self._job.out / foreign[0], more)

    def _make(self, name: str, picture: Path, journal: Journal) -> bool:
        """Make one picture; False where the others must not follow."""
        source, work = version(picture), journal.work_folder(name)
        remove(work)
        journal.begin(name)
        report = self._session.run_prepared(
            self._prepared,
            {**self._job.inputs, self._input: picture},
            work,
            self._job.timeout,
            self._should_stop,
        )
        sentence = "; ".join(map(str, report.errors))
        if report.ok:
            files = self._names(name, report)
            taken = [final for final in files.values() if journal.is_foreign(final)]
            if not taken:
                journal.finish(name, source, files)
                self._report.made.append(name)
                remove(work)
                return True
            sentence = str(_in_the_way(self._job.out / taken[0], ""))
        elif report.status in ("interrupted", "no_host") or (
            report.status == "refused" and not self._report.made
        ):
            self._report.status = report.status
            self._report.errors += report.errors
            return False
        journal.fail(name, sentence)
        self._report.failed[name] = sentence
        self._report.errors.append(Problem(f"{name}: {sentence}", "failed"))
        remove(work)
        return True

    def _output_stem(self, name: str) -> str:
        unique = self._stems[_stem(name).casefold()] == 1
        return _stem(name) if unique else name

    def _names(self, name: str, report: Report) -> dict[Path, str]:
        """Work files -> what they will be called: after the picture, numbered if there are more."""
        if not report.files:
            raise WorkflowError.of(
                "the workflow saves no files, so --each has nothing to keep; add a SaveImage",
                "no_outputs",
            )
        stem = self._output_stem(name)
        if len(report.files) == 1:
            return {report.files[0]: f"{stem}{report.files[0].suffix}"}
        return {path: f"{stem}_{n:02}{path.suffix}" for n, path in enumerate(report.files, 1)}

    def _digest(self) -> str:
        """Of everything that is done with every picture."""
        others = {name: version(path) for name, path in self._job.inputs.items()}
        content = [to_api(self._prepared.graph), self._input, others]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _chosen_input(prepared: Prepared, job: EachJob) -> str:
    named = named_inputs(prepared.graph, prepared.definitions)
    free = [name for name in named if name not in job.inputs]
    if job.each_as is not None:
        if job.each_as in named:
            return job.each_as
        raise WorkflowError.of(
            f"no node reads an input called {job.each_as}; the workflow reads: "
            f"{', '.join(named) or 'no files at all'}",
            "unknown_input",
        )
    if len(free) == 1:
        return free[0]
    what = f"several inputs: {', '.join(free)}" if free else "no picture that --each could change"
    raise WorkflowError.of(f"the workflow reads {what}; say which with --each-as NAME", "usage")


def _check_apart(job: EachJob, pictures: Iterable[Path]) -> None:
    """Raise WorkflowError where an output could take the place of an input, or become one."""
    place = job.out.resolve()
    for path in (*pictures, *job.inputs.values()):
        if place in (path.parent.resolve(), path.resolve().parent):
            raise WorkflowError.of(
                f"--out {job.out} holds the input {path.name}, which an output could replace; "
                "choose another --out",
                "usage",
            )
    if job.recursive and place.is_relative_to(job.pictures.resolve()):
        raise WorkflowError.of(
            f"--out {job.out} lies among the inputs, and a later run would take its outputs for "
            "some; choose another --out",
            "usage",
        )


def _stem(name: str) -> str:
    """The name of a picture without its ending; its folders stay."""
    return PurePosixPath(name).with_suffix("").as_posix()


def _in_the_way(path: Path, more: str) -> WorkflowError:
    return WorkflowError.of(
        f"{path}{more} would be replaced, and the journal does not know it as it is now; move it "
        "away, or choose another --out",
        "journal",
    )


def _taken(out: Path) -> Callable[[], None]:
    def wait() -> None:
        raise WorkflowError.of(f"another run is at work in {out}; wait for it", "journal")

    return wait
