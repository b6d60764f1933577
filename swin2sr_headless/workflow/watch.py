"""When a run has to end early: its time is up, or the user wants to stop."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_INTERVAL = 0.05
_GRACE = 10.0
"""Seconds that a node has to notice an interruption, before the main thread is shaken."""


class Watch:
    """Tells when to end: `reason` is then "timeout" or "interrupted"; the first one counts."""

    def __init__(
        self, timeout: float | None = None, should_stop: Callable[[], bool] | None = None
    ) -> None:
        self.limit = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._should_stop = should_stop or (lambda: False)
        self.reason: str | None = None

    def over(self) -> bool:
        """Whether to end; asks the clock and the user."""
        if self.reason is None:
            if self._should_stop():
                self.reason = "interrupted"
            elif self._deadline is not None and time.monotonic() > self._deadline:
                self.reason = "timeout"
        return self.reason is not None

    @property
    def until(self) -> float | None:
        """When the time is up, of `time.monotonic()`; None where there is no limit."""
        return self._deadline

    @property
    def left(self) -> float | None:
        """Seconds until the time is up, at least 0; None where there is no limit."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the time limit."""
        time.sleep(seconds if self.left is None else min(seconds, self.left))

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Call `interrupt` as soon as it is over, while the block runs in this thread.

        Where the block goes on nevertheless for a while, KeyboardInterrupt is raised in it (if
        this is the main thread).
        """
        finished = threading.Event()
        shake = threading.current_thread() is threading.main_thread()

        def wait() -> None:
            while not finished.wait(_INTERVAL):
                if self.over():
                    interrupt()
                    break
            while shake and not finished.wait(_GRACE):
                _thread.interrupt_main()

        watcher = threading.Thread(target=wait, name="swin2sr-watch", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            finished.set()
            watcher.join()
