"""Live events of a server over its WebSocket, where the package `websockets` is installed."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from swin2sr_core.transport.limits import MOST_EVENT_BYTES

from .address import Address

logger = logging.getLogger(__name__)

Told = Callable[[object, object], None]

_PAUSE = 1.0
"""Seconds before a connection that was lost is tried again."""


@contextlib.contextmanager
def following(address: Address, client_id: str, told: Told) -> Iterator[None]:
    """Pass every event for `client_id` to `told` during the block, from a thread of its own.

    A connection that is lost is made again. Without the package, or where the server does not speak
    it, nothing is passed.
    """
    reader = _Reader(address, client_id, told)
    if not reader.connect():
        yield
        return
    thread = threading.Thread(target=reader.run, name="swin2sr-ws", daemon=True)
    thread.start()
    try:
        yield
    finally:
        reader.end()
        thread.join(timeout=5)


class _Reader:
    def __init__(self, address: Address, client_id: str, told: Told) -> None:
        self._address, self._told = address, told
        self._url = f"ws{address.of(f'/ws?clientId={client_id}').removeprefix('http')}"
        self._over = threading.Event()
        self._socket: Any = None

    def connect(self) -> bool:
        try:
            from websockets.sync.client import connect  # pyright: ignore[reportMissingImports]
        except ImportError:
            return False
        try:
            opened = connect(
                self._url,
                open_timeout=5,
                max_size=MOST_EVENT_BYTES,
                proxy=None,
                additional_headers=dict(self._address.headers),
            )
            self._socket = opened.__enter__()  # left in `end`, from another thread
        except Exception as error:
            text = self._address.scrubbed(str(error))
            logger.debug("no live progress from %s: %s", self._address.url, text)
            return False
        return True

    def run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(Exception):  # lost, or closed from the other thread
                for message in self._socket:
                    if isinstance(message, str):
                        event = json.loads(message)
                        self._told(event.get("type"), event.get("data"))
            while not self._over.wait(_PAUSE) and not self.connect():
                pass
        self._close()

    def end(self) -> None:
        self._over.set()
        self._close()

    def _close(self) -> None:
        with contextlib.suppress(Exception):
            self._socket.close()
