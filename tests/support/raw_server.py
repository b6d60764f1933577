"""A server that says whatever a function writes: for replies that no library would send."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

SENDING = 30.0
"""Seconds after which the server itself gives up, so that no test hangs on it."""


@contextmanager
def raw_server(talk: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """The address of a server that calls `talk(connection, head of the request)` for everybody."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(SENDING)
                head = b""
                while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                    head += piece
                talk(connection, head)

        def serve() -> None:
            with suppress(OSError):
                while not over.is_set():
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()


def says(answer: bytes) -> Callable[[socket.socket, bytes], None]:
    """A talk of one answer."""
    return lambda connection, _head: connection.sendall(answer)


def repeats(
    start: bytes, piece: bytes, pause: float = 0.0
) -> Callable[[socket.socket, bytes], None]:
    """A talk without end: `piece` again and again, with `pause` seconds between."""
    waiting = threading.Event()

    def talk(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            waiting.wait(pause)

    return talk
