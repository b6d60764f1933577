"""Ctrl-C and SIGTERM: the work stops soon and cleanly, wherever it is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopSwitch:
    """Remembers that the user wants to stop; as a `should_stop` it is simply called.

    While someone asks it again and again (`polled`), a signal only turns it on, so that nothing is
    torn; elsewhere, and when the user insists with a second signal, KeyboardInterrupt is raised.
    """

    def __init__(self) -> None:
        self.requested = False
        self._polled = 0

    def __call__(self) -> bool:
        return self.requested

    @contextmanager
    def polled(self) -> Iterator[None]:
        """A block in which `should_stop` is called at least every two seconds.

        Raises KeyboardInterrupt at its end where a signal came after the last call.
        """
        self._polled += 1
        try:
            yield
        finally:
            self._polled -= 1
        if self.requested:
            raise KeyboardInterrupt

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """A short block that a first signal does not tear; `should_stop` tells of it afterwards."""
        self._polled += 1
        try:
            yield
        finally:
            self._polled -= 1

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Listen to the signals in this block; outside of the main thread that cannot be done."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._on_signal) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if again or not self._polled:
            raise KeyboardInterrupt
