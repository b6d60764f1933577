"""Live events of a server over its WebSocket, where the package `websockets` is installed."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from swin2sr_core.transport.limits import MOST_EVENT_BYTES

logger = logging.getLogger(__name__)

Told = Callable[[object, object], None]


@contextlib.contextmanager
def following(url: str, client_id: str, told: Told) -> Iterator[None]:
    """Pass every event for `client_id` to `told` during the block, from a thread of its own.

    Without the package, or where the server does not speak it, nothing is passed.
    """
    with contextlib.ExitStack() as stack:
        address = f"ws{url.removeprefix('http')}/ws?clientId={client_id}"
        socket = _connected(address, stack)
        if socket is not None:
            reader = threading.Thread(
                target=_read, args=(socket, told), name="swin2sr-ws", daemon=True
            )
            reader.start()
            stack.callback(reader.join, timeout=5)
            stack.callback(socket.close)
        yield


def _connected(address: str, stack: contextlib.ExitStack) -> Any | None:
    try:
        from websockets.sync.client import connect  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    try:
        connection = connect(address, open_timeout=5, max_size=MOST_EVENT_BYTES, proxy=None)
        return stack.enter_context(connection)
    except Exception as error:
        logger.debug("no live progress from %s: %s", address, error)
        return None


def _read(socket: Any, told: Told) -> None:
    with contextlib.suppress(Exception):  # it is closed from the other thread
        for message in socket:
            if isinstance(message, str):
                event = json.loads(message)
                told(event.get("type"), event.get("data"))
