"""Addresses of results that hold for a while without a key: for what sends no headers, such as
downloads and pictures of a page."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs

LINK_SECONDS = 600


@dataclass(frozen=True)
class Links:
    """Signed with chance that is drawn at the start: no link outlives the server."""

    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def signed(self, path: str, now: float | None = None) -> str:
        """The path with `until`, in Unix seconds, and `signature`."""
        until = int((time.time() if now is None else now) + LINK_SECONDS)
        return f"{path}?until={until}&signature={self._signature(path, str(until))}"

    def hold(self, path: str, query: str, now: float | None = None) -> bool:
        """Whether this query was signed for this path, and its time is not over."""
        fields = parse_qs(query)
        until, signature = (fields.get(name, [""])[-1] for name in ("until", "signature"))
        right = hmac.compare_digest(
            signature.encode(), self._signature(path, until).encode("ascii")
        )
        return right and float(until) >= (time.time() if now is None else now)

    def _signature(self, path: str, until: str) -> str:
        return hmac.new(self._secret, f"{path}\n{until}".encode(), hashlib.sha256).hexdigest()
