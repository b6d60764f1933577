"""The device of a worker, which one of its pictures has at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from types import TracebackType

from swin2sr_core.errors import Interrupted
from swin2sr_headless.cli.stopping import StopSwitch

_LOOK_SECONDS = 0.05


class DeviceTurn:
    """One picture's way to the device: entered as often as it has something to compute.

    on_first is called the first time; `waited`: seconds that others had the device meanwhile.
    """

    def __init__(self, device: Lock, stop: StopSwitch, on_first: Callable[[], None]) -> None:
        self._device, self._stop, self._on_first = device, stop, on_first
        self._first = True
        self.waited = 0.0

    def __enter__(self) -> None:
        """Raises Interrupted where it has to stop while it waits."""
        begun = time.monotonic()
        while not self._device.acquire(timeout=_LOOK_SECONDS):
            if self._stop():
                raise Interrupted("interrupted while another picture had the device")
        self.waited += time.monotonic() - begun
        if self._first:
            self._first = False
            self._on_first()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._device.release()
