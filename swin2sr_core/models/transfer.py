"""One HTTP request, received in the background: a silent server does not hold the caller up."""

import contextlib
import http.client
import queue
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

POLL_SECONDS = 0.2
_CHUNK = 1 << 18
_USER_AGENT = "swin2sr-model-download"


class ConnectionBroken(Exception):
    """The network failed; `connected` is False where not even a connection came about."""

    def __init__(self, reason: object, connected: bool) -> None:
        super().__init__(str(reason) or type(reason).__name__)
        self.connected = connected


@dataclass(frozen=True)
class Reply:
    """A reply's status line and headers, their names in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]

    def start(self) -> int | None:
        """The first byte of a partial reply; None where the reply does not say."""
        found = re.match(r"bytes (\d+)-", self.headers.get("content-range", ""))
        return int(found[1]) if found else None

    def total(self) -> int | None:
        """Bytes of the whole file, also where this is a part of it; None where it does not say."""
        if self.status in (206, 416):
            found = re.search(r"/(\d+)$", self.headers.get("content-range", ""))
            return int(found[1]) if found else None
        length = self.headers.get("content-length", "")
        return int(length) if length.isdigit() else None

    def marks_its_end(self) -> bool:
        """Whether a reply cut short can be told from a whole one."""
        return self.total() is not None or "chunked" in self.headers.get("transfer-encoding", "")


_Item = Reply | bytes | BaseException | None


@contextmanager
def fetch(
    url: str, headers: Mapping[str, str], timeout: float, check_stop: Callable[[], None]
) -> Iterator[tuple[Reply, Iterator[bytes]]]:
    """Gets `url`: the reply, and its body in chunks (empty unless the status is 200 or 206).

    `timeout` is how long the server may be silent, in seconds. `check_stop` is called every
    POLL_SECONDS and with every chunk; it raises to give up. Proxies come from the environment.
    Raises ConnectionBroken.
    """
    request = urllib.request.Request(url, headers={"User-Agent": _USER_AGENT, **headers})
    items: queue.Queue[_Item] = queue.Queue(maxsize=8)
    abandoned = threading.Event()
    # A daemon: a look-up of a name or a connect cannot be interrupted, and must not delay the exit.
    worker = threading.Thread(target=_work, args=(request, timeout, items, abandoned), daemon=True)
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
    request: urllib.request.Request,
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
        with contextlib.closing(_receive(request, timeout)) as received:
            if all(put(item) for item in received):
                put(None)
    except BaseException as error:
        put(error)


def _receive(
    request: urllib.request.Request, timeout: float
) -> Generator[Reply | bytes, None, None]:
    try:
        with _opener().open(request, timeout=timeout) as response:
            yield _reply(response.status, response.reason, response.headers)
            while chunk := response.read1(_CHUNK):
                yield chunk
    except urllib.error.HTTPError as error:
        with error:
            yield _reply(error.code, str(error.reason), error.headers)
    except urllib.error.URLError as error:
        raise ConnectionBroken(error.reason, connected=False) from error
    except TimeoutError as error:
        raise ConnectionBroken(f"it was silent for {timeout:g} s", connected=True) from error
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionBroken(error, connected=True) from error


def _reply(status: int, reason: str, headers: Message) -> Reply:
    return Reply(status, reason, {name.lower(): value for name, value in headers.items()})


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https, but never from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        came, goes = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if goes not in ("http", "https") or (came, goes) == ("https", "http"):
            reason = f"redirects to {newurl}, which is not allowed"
            raise urllib.error.HTTPError(req.full_url, code, reason, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """urllib's own opener without ftp:, file: and data:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener
