"""The folder of what comes and goes: uploads and results, under names that nobody sends."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from swin2sr_core.errors import InputError

from .errors import no_room

_SPARE_BYTES = 64 << 20


@dataclass(frozen=True)
class Spool:
    """quota: bytes of all files together, 0 for what the disk has; keep: seconds for results."""

    folder: Path
    quota: int
    keep: float

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folders, for this user alone, and keep other servers out of them meanwhile.

        Raises InputError where the folder is somebody else's, or cannot be written.
        """
        try:
            for place in (self.folder, self.uploads, self.results):
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
            if hasattr(os, "getuid") and self.folder.stat().st_uid != os.getuid():
                raise InputError(f"{self.folder} belongs to another user; choose another --spool")
            with FileLock(self.folder / "lock", timeout=0):
                yield
        except Timeout as error:
            raise InputError(
                f"another server works in {self.folder}; choose another --spool"
            ) from error
        except OSError as error:
            raise InputError(
                f"cannot use {self.folder}: {error.strerror or error}; choose another --spool"
            ) from error

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def new_upload(self) -> Path:
        return self.uploads / f"{secrets.token_hex(16)}.in"

    def result(self, number: str, suffix: str) -> Path:
        return self.results / f"{number}{suffix}"

    def find_result(self, number: str) -> Path | None:
        """A result by its number, which is 32 hexadecimal digits."""
        if len(number) != 32 or not set(number) <= set("0123456789abcdef"):
            return None
        return next((path for path in self.results.glob(f"{number}.*") if _whole(path)), None)

    def check_room(self, more: int) -> None:
        """Raises Problem 503 where `more` bytes are beyond the quota or the disk."""
        free = shutil.disk_usage(self.folder).free - _SPARE_BYTES
        if self.quota:
            free = min(free, self.quota - self.used())
        if more > free:
            raise no_room()

    def used(self) -> int:
        """Bytes of all files."""
        total = 0
        for path in self.folder.rglob("*"):
            with suppress(OSError):
                total += path.stat().st_size if path.is_file() else 0
        return total

    def sweep(self, kept: set[str], now: float | None = None) -> None:
        """Remove results older than `keep`, and uploads that nobody needs any more.

        kept: names of uploads and numbers of results that jobs know.
        """
        oldest = (time.time() if now is None else now) - self.keep
        for path in (*self.results.iterdir(), *self.uploads.iterdir()):
            with suppress(OSError):
                known = path.name in kept or path.name.partition(".")[0] in kept
                if not known and path.stat().st_mtime < oldest:
                    path.unlink()


def _whole(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")
