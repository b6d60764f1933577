"""How far a run has come: the callbacks of every long operation, and a count of finished work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import Interrupted

Progress = Callable[[int, int], None]
"""Called with the work done so far, and all there is."""

ShouldStop = Callable[[], bool]
"""Asked at least once per band; true ends the run with `Interrupted`."""


class WorkCounter:
    """Adds up finished work, tells `progress`, and stops the run when `should_stop` says so."""

    def __init__(
        self, total: int, progress: Progress | None, should_stop: ShouldStop | None
    ) -> None:
        self.done = 0
        self.total = total
        self.later = total
        self.progress = progress
        self.should_stop = should_stop

    @contextmanager
    def part(self, work: int) -> Iterator[None]:
        """Around a part that was planned to take `work`; if it took another amount, count again."""
        self.later -= work
        yield
        if self.done + self.later != self.total:
            self.rescale(0)
            self._tell()

    def rescale(self, remaining: int) -> None:
        """The current part has `remaining` work left."""
        self.total = self.done + remaining + self.later

    def advance(self, work: int) -> None:
        self.done += work
        self._tell()
        if self.should_stop is not None and self.should_stop():
            raise Interrupted("stopped on request; nothing was written")

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.done, max(self.done, self.total))
