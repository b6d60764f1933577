"""API keys: their hashes in a file, a name for each, and how much each may ask.

A line is `NAME SHA256`, the hash in hexadecimal of a key with at least 20 characters of chance:

    printf %s "$KEY" | sha256sum

Keys are random, not chosen, so that one plain hash suffices. # begins a comment.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from swin2sr_core.errors import InputError

_LINE = re.compile(r"(\S+)\s+([0-9a-fA-F]{64})")


@dataclass
class Keys:
    """Hashes by name; each may send `per_minute` requests with a body, and have `most_bytes` of
    them on their way at once. 0: no limit."""

    hashes: dict[str, bytes]
    per_minute: int = 0
    most_bytes: int = 0
    _seen: dict[str, tuple[float, float]] = field(default_factory=dict)
    _coming: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, path: Path, per_minute: int = 0, most_bytes: int = 0) -> Keys:
        """Raises InputError for a file that cannot be read, or holds no key."""
        try:
            lines = path.expanduser().read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the keys in {path}: {error}") from error
        hashes = {}
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].strip()
            if not words:
                continue
            match = _LINE.fullmatch(words)
            if match is None:
                raise InputError(
                    f"{path}, line {number}: expected a name and the SHA-256 of its key in "
                    "hexadecimal"
                )
            hashes[match[1]] = bytes.fromhex(match[2])
        if not hashes:
            raise InputError(f"{path} holds no key; write a name and the SHA-256 of its key")
        return cls(hashes, per_minute, most_bytes)

    def owner(self, key: str) -> str | None:
        """Whose key it is; every one is compared, in constant time."""
        digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
        found = None
        for name, known in self.hashes.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found

    def wait(self, name: str, now: float | None = None) -> float:
        """Seconds until this key may ask again, 0 for now, which is then counted."""
        if not self.per_minute:
            return 0.0
        now = time.monotonic() if now is None else now
        left, last = self._seen.get(name, (float(self.per_minute), now))
        left = min(float(self.per_minute), left + (now - last) * self.per_minute / 60)
        enough = left >= 1
        self._seen[name] = (left - 1 if enough else left, now)
        return 0.0 if enough else (1 - left) * 60 / self.per_minute

    def hold(self, name: str, size: int, waiting: int) -> bool:
        """Count `size` more bytes of a request as this key's, until `release`.

        False, and nothing is counted, beyond the limit. waiting: bytes of its jobs.
        """
        if self.most_bytes and self._coming[name] + waiting + size > self.most_bytes:
            return False
        self._coming[name] += size
        return True

    def release(self, name: str, size: int) -> None:
        """A request of this key is over."""
        self._coming[name] -= size
