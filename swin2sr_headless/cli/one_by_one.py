"""One picture after the other: what fails is reported, and the others go on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swin2sr_core.errors import Interrupted, disk_is_full
from swin2sr_core.temporary import sweep
from swin2sr_core.units import format_bytes, format_seconds

from ..failures import INTERRUPTED, Failure
from ..workflow.journal import version
from .estimates import kind_of, timings
from .failures import report
from .files import Done, FileUpscaler
from .output import Console, Outcome
from .records import Records
from .resuming import is_made, kept_unknown, to_replace
from .survey import Forecast, Surveyor, check_space
from .targets import Target

_LONG = 60
"""Seconds from which a batch says beforehand how long it will take, about."""


@dataclass(frozen=True)
class Course:
    """How a batch is gone through. `how` is what `way_of` says; `many`: answer with a list.

    skip_existing: leave out what is made already.
    """

    how: str
    many: bool
    skip_existing: bool = False


@dataclass
class Batch:
    """Pictures on their way: surveyed first, then computed, each recorded when it is whole."""

    upscaler: FileUpscaler
    targets: list[Target]
    console: Console
    records: Records
    course: Course
    notices: list[str] = field(default_factory=list)
    documents: dict[Path, dict[str, object]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    skipped: int = 0
    seconds: float = 0

    def run(self) -> None:
        """All of them, until there are no more, the disk is full, or the user has enough."""
        started = time.perf_counter()
        for folder in {target.output.parent for target in self.targets}:
            sweep(folder)
        try:
            ready = self._surveyed()
        except KeyboardInterrupt as error:
            self._failed(self.targets[0], error)
            ready = []
        numbers = {target.source: n for n, target in enumerate(self.targets, 1)}
        for target in ready:
            if not self._one(target, numbers[target.source]):
                break
        self.seconds = time.perf_counter() - started
        if len(self.targets) > 1:
            self._tell_totals()

    def outcome(self) -> Outcome:
        """The exit code: a lone picture's own, or 1 if any of several failed."""
        codes = {failure.exit_code for failure in self.failures}
        code = 0
        if codes:
            code = INTERRUPTED if INTERRUPTED in codes else 1
            code = self.failures[0].exit_code if len(self.targets) == 1 else code
        results = [self.documents[t.source] for t in self.targets if t.source in self.documents]
        if not self.course.many:
            if self.notices:
                told = results[0].get("notices")
                results[0]["notices"] = [*(told if isinstance(told, list) else []), *self.notices]
            return Outcome(code, results[0] | ({"exit_code": code} if code else {}))
        document: dict[str, object] = {"status": "error" if code else "ok"}
        if self.failures:
            document["error"] = self.failures[-1].sentence if code == INTERRUPTED else self._totals
        document |= {"exit_code": code, "notices": self.notices, "results": results}
        return Outcome(code, document)

    # -- before --------------------------------------------------------------------------------

    def _surveyed(self) -> list[Target]:
        """The targets that are to be made, after all that can be known of them is checked."""
        surveyor = Surveyor(self.upscaler.job, self.upscaler.writing)
        ready: list[tuple[Target, Forecast | None]] = []
        for target in self.targets:
            if self.upscaler.stop():
                raise KeyboardInterrupt
            if self.course.skip_existing and is_made(target, self.records, self.course.how):
                self._skipped(target, "made from the same picture with the same settings")
                continue
            try:
                with self.console.before_the_work():
                    forecast = surveyor.forecast(target)
            except Exception as error:
                self._failed(target, error)
                continue
            if self.course.skip_existing and forecast is not None:
                if why := kept_unknown(target, self.records, forecast.size):
                    self._note(f"{target.output}: {why}")
                    self._skipped(target, why)
                    continue
                target = to_replace(target)
            ready.append((target, forecast))
        self._check_means(ready)
        return [target for target, _ in ready]

    def _check_means(self, ready: list[tuple[Target, Forecast | None]]) -> None:
        known = [(target, forecast) for target, forecast in ready if forecast is not None]
        for notice in check_space([(t.output, forecast.file_bytes) for t, forecast in known]):
            self._note(notice)
        times = [forecast.seconds for _, forecast in known if forecast.seconds is not None]
        if len(ready) > 1 and times and len(times) == len(known) and sum(times) >= _LONG:
            self._note(f"{len(ready)} pictures will take about {format_seconds(sum(times))}")

    def _note(self, text: str) -> None:
        self.notices.append(text)
        self.console.note(f"swin2sr: {text}")

    def _skipped(self, target: Target, why: str) -> None:
        self.skipped += 1
        names = {"input": str(target.source), "output": str(target.output)}
        self._add(target, {"status": "skipped", **names, "reason": why})
        if len(self.targets) == 1:
            self.console.show(f"{target.output}: is there already, {why}")

    # -- one picture ---------------------------------------------------------------------------

    def _one(self, target: Target, number: int) -> bool:
        """Make one picture; False where the others must not follow."""
        name = target.source.name
        label = name if len(self.targets) == 1 else f"[{number}/{len(self.targets)}] {name}"
        try:
            if self.upscaler.stop():
                raise KeyboardInterrupt
            done, state = self._made(target, label)
        except (Exception, KeyboardInterrupt) as error:
            self._failed(target, error)
            return not (isinstance(error, (Interrupted, KeyboardInterrupt)) or disk_is_full(error))
        with self.upscaler.stop.held_off():
            for file in target.files:
                self.records.finish(file, target.source, state, self.course.how)
            self._learn(done)
            self._add(target, done.to_dict())
            self.console.show(_summary(done))
        return True

    def _made(self, target: Target, label: str) -> tuple[Done, Mapping[str, object]]:
        """The picture, on record from before it is written, and the version of its source."""
        state = version(target.source)
        for file in target.files:
            self.records.begin(file)
        try:
            with self.console.about(target.source.name, target.output.name):
                done = self.upscaler.run(target, label)
        except BaseException:
            for file in target.files:
                self.records.give_up(file)
            raise
        return done, state

    def _failed(self, target: Target, error: BaseException) -> None:
        failure = report(error, self.console, about=str(target.source))
        self.failures.append(failure)
        names: dict[str, object] = {"input": str(target.source), "output": None}
        self._add(target, failure.to_dict() | names)

    def _add(self, target: Target, document: dict[str, object]) -> None:
        told = document.get("notices")
        # in the order in which they were told: what was told as a value was logged as well
        notices = [*self.console.take_warnings(), *(told if isinstance(told, list) else [])]
        if notices or "notices" in document:
            document["notices"] = list(dict.fromkeys(notices))
        self.documents[target.source] = document
        self.console.line(document)

    def _learn(self, done: Done) -> None:
        memory = timings()
        plan = done.plan.plan
        if memory is None or done.done.fallbacks or done.done.strategy != plan.strategy:
            return
        work = plan.work * len(done.done.reports)
        kind = kind_of(self.upscaler.job.model, done.plan)
        memory.learn(kind, work, done.done.seconds - done.done.face_seconds)

    # -- afterwards ----------------------------------------------------------------------------

    @property
    def _totals(self) -> str:
        done = len(self.documents) - len(self.failures) - self.skipped
        left = len(self.targets) - len(self.documents)
        parts = [f"{done} of {len(self.targets)} pictures done"]
        parts += [f"{self.skipped} were there"] if self.skipped else []
        parts += [f"{len(self.failures)} failed"] if self.failures else []
        parts += [f"{left} not begun"] if left else []
        return ", ".join(parts)

    def _tell_totals(self) -> None:
        line = f"{self._totals}, {self.seconds:.1f} s"
        # with failures among many lines, the reader of the errors wants to see it, too
        if self.failures:
            self.console.note(line)
        else:
            self.console.show(line)


def _summary(done: Done) -> str:
    (width, height), plan = done.input_size, done.plan
    frames = f", {done.frames} frames" if done.frames > 1 else ""
    faces = "" if done.done.faces is None else f", faces refined: {done.done.faces}"
    peak = ""
    if done.peak_bytes is not None:
        peak = f", peak memory {format_bytes(done.peak_bytes)} ({done.peak_of})"
    told = (*done.done.notices, *plan.plan.notes, *done.done.fallbacks)
    fallbacks = "".join(f"; {each}" for each in told)
    return (
        f"{done.target.output}: {width}x{height} -> {plan.width}x{plan.height}{frames}, "
        f"{done.report.model}, {done.report.device}, {done.report.precision}, "
        f"{done.done.strategy}, {done.done.seconds:.2f} s{faces}{peak}{fallbacks}"
    )
