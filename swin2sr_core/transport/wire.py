"""Connections whose answers are read against a clock.

Python's own timeout is for one packet: a server that sends a byte a minute, or headers without end,
holds a reader for ever.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
import urllib.request
from functools import partial
from typing import Any, cast

from .limits import MOST_HEAD_BYTES


class Clock:
    """Until when the present step has to be done: `timeout` seconds each, and `until` for all.

    until: of `time.monotonic()`, or None.
    """

    def __init__(self, timeout: float, until: float | None = None) -> None:
        self.timeout, self._until = timeout, until
        self.restart()

    def restart(self) -> None:
        """A step begins."""
        self._end = time.monotonic() + self.timeout
        if self._until is not None:
            self._end = min(self._end, self._until)

    def left(self) -> float:
        """Seconds until the step has to be over. Raises TimeoutError where it is."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"it was silent for {self.timeout:g} s")
        return left


class _TimedReader(io.RawIOBase):
    """What a socket receives: by the clock, and up to a limit while the head is read."""

    def __init__(self, wire: socket.socket, clock: Clock) -> None:
        self._wire, self._clock = wire, clock
        # http.client closes the socket when it has the head; this keeps it open for the body
        self._raw = cast(io.RawIOBase, wire.makefile("rb", buffering=0))
        self._head_bytes = 0
        self.in_head = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._wire.settimeout(self._clock.left())
        count = self._raw.readinto(buffer)
        if self.in_head and count is not None:
            self._head_bytes += count
            if self._head_bytes > MOST_HEAD_BYTES:
                raise http.client.HTTPException("its headers do not end")
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, clock: Clock, wire: socket.socket, **options: Any) -> None:
        self._reader = _TimedReader(wire, clock)
        super().__init__(cast(socket.socket, self), **options)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """In the place of the socket's: http.client asks for it, and for nothing else."""
        return io.BufferedReader(self._reader)

    def begin(self) -> None:
        super().begin()
        self._reader.in_head = False  # the caller limits the body


class Connections(urllib.request.AbstractHTTPHandler):
    """Has urllib open http: and https: against a clock; every status is an answer, none an error.

    Without urllib's handler of errors nothing is redirected either: that is for the caller.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection(http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        context = ssl.create_default_context()
        kind = self._connection(http.client.HTTPSConnection)
        return self.do_open(kind, request, context=context)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def _connection(self, kind: type[http.client.HTTPConnection]) -> Any:
        def make(host: str, **options: Any) -> http.client.HTTPConnection:
            connection = kind(host, **options)
            connection.response_class = cast(Any, partial(_TimedResponse, self._clock))
            return connection

        return make
