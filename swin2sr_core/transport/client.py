"""The one HTTP client: downloads and servers are asked through `request`.

Servers are strangers. A reply's head comes within the timeout and a limit, its body is limited by
who reads it and may not dawdle, and a redirect leads to http(s) on the same host, unless the caller
says that what comes is checked whoever sends it.
"""

from __future__ import annotations

import http.client
import re
import string
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from ..errors import harmless
from ..sentences import Sentence, sentence
from .limits import LEAST_PACE, MOST_REDIRECTS
from .wire import Clock, Connections

_BLOCK = 1 << 18
_REDIRECTS = (301, 302, 303, 307, 308)
_SECRETS = ("authorization", "cookie")
_PORTS = {"http": 80, "https": 443}


class ConnectionBroken(Exception):
    """The network failed; `connected` is False where not even a connection came about."""

    def __init__(self, reason: object, connected: bool) -> None:
        known = isinstance(reason, Sentence)
        super().__init__(reason if known else harmless(str(reason) or type(reason).__name__, 300))
        self.connected = connected


class TooLong(Exception):
    """A body has more bytes than its reader takes."""


class RedirectRefused(Exception):
    """A server redirects to where nobody is sent from here; the text says where."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(
            sentence(
                "redirected",
                "it redirects to {place}, which is not followed: {why}",
                place=harmless(place, 200),
                why=why,
            )
        )


@dataclass(frozen=True)
class Reply:
    """A reply's status line and headers, their names in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]

    def start(self) -> int | None:
        """The first byte of a partial reply; None where the reply does not say."""
        return _number(r"bytes (\d+)-", self.headers.get("content-range", ""))

    def total(self) -> int | None:
        """Bytes of the whole file, also where this is a part of it; None where it does not say."""
        if self.status in (206, 416):
            return _number(r".*/(\d+)$", self.headers.get("content-range", ""))
        return self.length()

    def length(self) -> int | None:
        """Bytes of the body; None where it does not say."""
        return _number(r"(\d+)$", self.headers.get("content-length", ""))

    def marks_its_end(self) -> bool:
        """Whether a reply cut short can be told from a whole one."""
        return self.total() is not None or "chunked" in self.headers.get("transfer-encoding", "")


class Response:
    """An answer whose body is still to be read, once: by `blocks` or by `body`."""

    def __init__(self, raw: http.client.HTTPResponse, clock: Clock, url: str) -> None:
        self._raw, self._clock, self.url = raw, clock, url
        headers = {name.lower(): value for name, value in raw.headers.items()}
        self.reply = Reply(raw.status, harmless(raw.reason, 200), headers)

    def blocks(self) -> Iterator[bytes]:
        """The body of a file, of any length, as it comes.

        Raises ConnectionBroken where the server falls silent for the timeout, is slower than
        LEAST_PACE, or ends before the length that it told.
        """
        received, waited = 0, 0.0
        while True:
            self._clock.restart()
            before = time.monotonic()
            block = self._read()
            waited += time.monotonic() - before
            received += len(block)
            if not block:
                break
            if waited > self._clock.timeout and received < LEAST_PACE * waited:
                raise ConnectionBroken(
                    sentence(
                        "too_slow", "it sends fewer than {pace} bytes a second", pace=LEAST_PACE
                    ),
                    connected=True,
                )
            yield block
        self._check_end(received)

    def body(self, most: int) -> bytes:
        """All of the body, within the timeout. Raises TooLong over `most`, and as `blocks`."""
        content = self.start_of_body(most + 1)
        if len(content) > most:
            raise TooLong(f"has more than {most >> 20} MiB")
        self._check_end(len(content))
        return content

    def start_of_body(self, most: int) -> bytes:
        """At most so many bytes of the body, within the timeout. Raises ConnectionBroken."""
        content = bytearray()
        self._clock.restart()
        while len(content) < most and (block := self._read(most - len(content))):
            content += block
        return bytes(content)

    def _read(self, most: int = _BLOCK) -> bytes:
        try:
            return self._raw.read1(min(most, _BLOCK))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConnectionBroken(_reason(error, self._clock), connected=True) from error

    def _check_end(self, received: int) -> None:
        expected = self.reply.length()
        if expected is not None and received < expected:
            raise ConnectionBroken(ended_at(received, expected), connected=True)


@contextmanager
def request(
    url: str,
    headers: Mapping[str, str],
    timeout: float,
    *,
    body: bytes | Iterable[bytes] | None = None,
    length: int | None = None,
    until: float | None = None,
    direct: bool = False,
    anywhere: bool = False,
) -> Iterator[Response]:
    """Asks for `url` (GET; POST where there is a body) and gives the answer, whatever its status.

    timeout: how long the server may take for its reply's head, and be silent later, in seconds.
    body, length: what is sent, and its bytes where it comes in blocks. until: when all has to be
    over, of `time.monotonic()`. direct: past the environment's proxies. anywhere: follow redirects
    to other hosts, too, though never from https to http.

    Raises ConnectionBroken and RedirectRefused.
    """
    clock = Clock(timeout, until)
    headers = dict(headers)
    for _ in range(MOST_REDIRECTS + 1):
        response = Response(_opened(url, headers, body, length, clock, direct), clock, url)
        with _closing(response):
            place = response.reply.headers.get("location")
            if place is None or response.reply.status not in _REDIRECTS:
                yield response
                return
        target = _followed(url, place, anywhere)
        if body is not None:
            raise RedirectRefused(target, "what is sent is sent once; give that address")
        if _origin(target) != _origin(url):
            headers = {k: v for k, v in headers.items() if _may_follow(k, url, target)}
        url = target
    raise RedirectRefused(url, f"it is the last of {MOST_REDIRECTS + 1} in a row")


@contextmanager
def _closing(response: Response) -> Iterator[None]:
    try:
        yield
    finally:
        response._raw.close()


def _opened(
    url: str,
    headers: Mapping[str, str],
    body: bytes | Iterable[bytes] | None,
    length: int | None,
    clock: Clock,
    direct: bool,
) -> http.client.HTTPResponse:
    opener = urllib.request.OpenerDirector()
    proxies = urllib.request.ProxyHandler({} if direct else None)
    for handler in (proxies, Connections(clock), urllib.request.UnknownHandler()):
        opener.add_handler(handler)
    size = len(body) if isinstance(body, bytes) else length
    sized = {} if body is None else {"Content-Length": str(size)}
    try:
        asked = urllib.request.Request(
            url, None if body is None else _sent(body, clock), {**sized, **headers}
        )
        return opener.open(asked, timeout=clock.left())
    except urllib.error.URLError as error:
        raise ConnectionBroken(_reason(error.reason, clock), connected=False) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ConnectionBroken(_reason(error, clock), connected=True) from error


def _sent(body: bytes | Iterable[bytes], clock: Clock) -> Iterator[bytes]:
    """The body in blocks, each with the time of a step of its own; the answer gets one, too."""
    blocks = (
        (body[at : at + _BLOCK] for at in range(0, len(body), _BLOCK))
        if isinstance(body, bytes)
        else body
    )
    for block in blocks:
        clock.restart()
        clock.left()
        yield block
    clock.restart()


def ended_at(done: int, total: int) -> str:
    """Where a connection that ends too early did."""
    return sentence(
        "ended_at", "the connection ended at byte {done} of {total}", done=done, total=total
    )


def _reason(error: object, clock: Clock) -> object:
    if isinstance(error, TimeoutError):
        return sentence("silent", "it was silent for {seconds:g} s", seconds=clock.timeout)
    return getattr(error, "strerror", None) or error


def _followed(url: str, place: str, anywhere: bool) -> str:
    """The address that a redirect leads to. Raises RedirectRefused."""
    try:
        target = quote(urljoin(url, place), safe=string.punctuation)
        came, goes = _origin(url), _origin(target)
    except ValueError:
        raise RedirectRefused(place, "it is no address") from None
    if goes[0] not in _PORTS:
        raise RedirectRefused(place, "only http: and https: are")
    if (came[0], goes[0]) == ("https", "http"):
        raise RedirectRefused(place, "https: stays https:")
    upgraded = came[0] != goes[0] and came[1] == goes[1]
    if not (anywhere or came == goes or upgraded):
        raise RedirectRefused(place, "it is another host; ask that one, if it is to be trusted")
    return target


def _may_follow(header: str, url: str, target: str) -> bool:
    """Whether a header may be told to where a redirect leads: secrets stay on their host."""
    return header.lower() not in _SECRETS or _origin(url)[1] == _origin(target)[1]


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


def _number(pattern: str, text: str) -> int | None:
    found = re.match(pattern, text, re.ASCII)
    return int(found[1]) if found and len(found[1]) < 20 else None
