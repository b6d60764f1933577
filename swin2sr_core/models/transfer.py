"""One HTTP request, received in the background: a silent server does not hold the caller up."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ..transport.client import Reply, request

POLL_SECONDS = 0.2
_USER_AGENT = "swin2sr-model-download"

_Item = Reply | bytes | BaseException | None


@contextmanager
def fetch(
    url: str, headers: Mapping[str, str], timeout: float, check_stop: Callable[[], None]
) -> Iterator[tuple[Reply, Iterator[bytes]]]:
    """Gets `url`: the reply, and its body in chunks (empty unless the status is 200 or 206).

    `timeout` is how long the server may be silent, in seconds. `check_stop` is called every
    POLL_SECONDS and with every chunk; it raises to give up. Proxies come from the environment.
    Redirects lead to other hosts, too: mirrors are, and what arrives is checked.
    Raises ConnectionBroken and RedirectRefused.
    """
    items: queue.Queue[_Item] = queue.Queue(maxsize=8)
    abandoned = threading.Event()
    # A daemon: a look-up of a name or a connect cannot be interrupted, and must not delay the exit.
    worker = threading.Thread(
        target=_work,
        args=(url, {"User-Agent": _USER_AGENT, **headers}, timeout, items, abandoned),
        name="swin2sr-download",
        daemon=True,
    )
    worker.start()
    try:
        reply = _next(items, check_stop)
        if not isinstance(reply, Reply):
            raise TypeError(f"a reply comes first, got {type(reply).__name__}")
        yield reply, _body(items, check_stop)
    finally:
        abandoned.set()


def _body(items: "queue.Queue[_Item]", check_stop: Callable[[], None]) -> Iterator[bytes]:
    while isinstance(chunk := _next(items, check_stop), bytes):
        yield chunk


def _next(items: "queue.Queue[_Item]", check_stop: Callable[[], None]) -> Reply | bytes | None:
    while True:
        check_stop()
        try:
            item = items.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        if isinstance(item, BaseException):
            raise item
        return item


def _work(
    url: str,
    headers: Mapping[str, str],
    timeout: float,
    items: "queue.Queue[_Item]",
    abandoned: threading.Event,
) -> None:
    """The background's whole life: a Reply, chunks, None; or an error, which the caller raises."""

    def put(item: _Item) -> bool:
        while not abandoned.is_set():
            with contextlib.suppress(queue.Full):
                items.put(item, timeout=POLL_SECONDS)
                return True
        return False

    try:
        with request(url, headers, timeout, anywhere=True) as response:
            whole = response.reply.status in (200, 206)
            if put(response.reply) and (not whole or all(map(put, response.blocks()))):
                put(None)
    except BaseException as error:
        put(error)
