"""A run of Face-Region Refine as the page sees it: how far it is, and what was found."""

from __future__ import annotations

import time

from . import events

_TELL_SECONDS = 0.2


class FaceEvents:
    """Tells one run in messages of the event `events.RUN_EVENT`, as `live.Live` does.

    Of kind "progress" a few times a second, and "faces" at the end.
    """

    def __init__(self, frames: int) -> None:
        self.seconds = 0.0
        self._frames = frames
        self._prompt, self._node = events.executing_node()
        self._started = time.monotonic()
        self._next = 0.0

    def advance(self, frame: int, fraction: float) -> None:
        """`fraction` of the whole batch is done; `frame` (from 0) is being worked on."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _TELL_SECONDS
        self._send("progress", frame=frame + 1, fraction=round(fraction, 4))

    def done(self, count: int, skipped: int, fallbacks: list[str]) -> events.Message:
        """`count` faces were refined, and `skipped` ones left as they are; what was told."""
        self.seconds = round(time.monotonic() - self._started, 2)
        result = {"count": count, "skipped": skipped, "seconds": self.seconds}
        return self._send("faces", **result, fallbacks=fallbacks)

    def _send(self, kind: str, **values: object) -> events.Message:
        told = {"kind": kind, "node": self._node, "prompt": self._prompt, "frames": self._frames}
        message = events.worded(told | values)
        events.tell(events.RUN_EVENT, message)
        return message
