"""The address of a server as a user gives it, with the secrets that it may hold kept apart."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..problems import WorkflowError

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Address:
    """Where a server is.

    url: what may be printed: without user, password, query, and slash at the end. query: goes with
    every request. headers: too. secrets: texts that must not be printed.
    """

    url: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.url).hostname or ""

    def of(self, path: str) -> str:
        """The whole address of a path, query and all."""
        if not self.query:
            return self.url + path
        return f"{self.url}{path}{'&' if '?' in path else '?'}{self.query}"

    def scrubbed(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def parse_address(text: str, headers: Sequence[str] = ()) -> Address:
    """An address like http://user:password@host:8188/path?token=x, and headers "Name: value".

    Raises WorkflowError for what is no address of a server, and for what is no header.
    """
    whole = text if "://" in text else f"http://{text}"
    try:
        parts = urllib.parse.urlsplit(whole)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        raise _no_address(text) from None
    if not good:
        raise _no_address(text)
    name = parts.hostname or ""
    host = f"[{name}]" if ":" in name else name
    found = dict(map(_header, headers))
    secrets = list(found.values())
    if parts.username is not None:
        user, password = parts.username, parts.password or ""
        plain = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password)}"
        token = base64.b64encode(plain.encode()).decode()
        found.setdefault("Authorization", f"Basic {token}")
        secrets += [password, urllib.parse.unquote(password), token]
    for _, value in urllib.parse.parse_qsl(parts.query, keep_blank_values=True):
        secrets += [value, urllib.parse.quote(value), urllib.parse.quote_plus(value)]
    url = urllib.parse.urlunsplit((parts.scheme, host + port, parts.path.rstrip("/"), "", ""))
    kept = sorted({each for each in secrets if each}, key=len, reverse=True)
    return Address(url, parts.query, found, tuple(kept))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    value = value.strip()
    if not colon or not _HEADER.fullmatch(name.strip()) or not value.isprintable():
        raise WorkflowError.of(
            f'--header wants "Name: value", got one called {name.strip()!r:.40}', "usage"
        )
    return name.strip(), value


def _no_address(text: str) -> WorkflowError:
    """What was given is told without what may be secret in it."""
    shown = re.sub(r"//.*@|^[^/]*@", "//***@" if "://" in text else "***@", text.partition("?")[0])
    return WorkflowError.of(
        f"--server wants an address like http://127.0.0.1:8188, got {shown!r}", "usage"
    )
