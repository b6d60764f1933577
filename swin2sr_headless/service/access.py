"""What a key opens, and how much of it: one owner for each request."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from swin2sr_core.sentences import sentence

from .errors import Problem
from .keys import Keys
from .links import Links

_BYTES_RETRY = 5


@dataclass(frozen=True)
class Access:
    """waiting: bytes that jobs of an owner hold."""

    keys: Keys
    waiting: Callable[[str], int]
    links: Links = field(default_factory=Links)

    def owner(self, headers: Headers) -> str:
        """Whose key came. Raises Problem 401 and 403."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        key = headers.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else "")
        if not key:
            raise Problem(401, "key", "send your key as Authorization: Bearer KEY or X-API-Key")
        owner = self.keys.owner(key)
        if owner is None:
            raise Problem(403, "key", "this key is not known here")
        return owner

    def check_rate(self, owner: str) -> None:
        """Raises Problem 429."""
        if wait := self.keys.wait(owner):
            text = sentence("serve_rate", "this key has asked often; wait a little")
            raise Problem(429, "rate", text, math.ceil(wait))

    @contextmanager
    def counted(self, owner: str, receive: Receive) -> Iterator[Receive]:
        """`receive` counting the body's bytes as the owner's; they are let go with the request.

        Raises Problem 429 while reading.
        """
        if not self.keys.most_bytes:
            yield receive
            return
        held, waiting = 0, self.waiting(owner)

        async def counting() -> Message:
            nonlocal held
            message = await receive()
            size = len(message.get("body", b""))
            if size:
                if not self.keys.hold(owner, size, waiting):
                    text = sentence(
                        "serve_key_bytes",
                        "this key has more than {limit:,} bytes on their way, which is its limit; "
                        "send it again when others are done",
                        limit=self.keys.most_bytes,
                    )
                    raise Problem(429, "bytes", text, _BYTES_RETRY)
                held += size
            return message

        try:
            yield counting
        finally:
            self.keys.release(owner, held)
