"""What became of each picture: a line of JSON when it is over, by which a batch is gone on with.

    {"run": {...}}                                     the settings that `how` stands for
    {"input": "a.png", "state": {...}, "sha256": "..", "how": "9f2c..", "output": "out/a_x4.png",
     "bytes": 1234, "seconds": 0.31, "error": null, ...}

On a disk it is one file, written through line by line, so that a killed batch loses nothing that
was made. Object stores cannot append: there it is a folder, and a file for some seconds of lines.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from swin2sr_core.errors import InputError
from swin2sr_core.temporary import open_kept

from .places import Remote, State, is_remote, make_folder, place_of

NAME = "swin2sr-manifest.jsonl"
_FLUSH_SECONDS = 5.0
_FLUSH_ROWS = 1000

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """What is kept in memory of a row: of a million of them, half a gigabyte."""

    output: str
    bytes: int
    how: str
    sha256: str
    state: State


class _Store(Protocol):
    def lines(self) -> Iterator[bytes]: ...

    def append(self, line: bytes) -> None: ...

    def flush(self) -> None: ...


class Manifest:
    """Rows of earlier runs by the picture, and those of this one."""

    def __init__(self, store: _Store) -> None:
        self._store = store
        self.made: dict[str, Made] = {}
        self.is_new = True
        for line in store.lines():
            self.is_new = False
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # torn by a kill

    def begin(self, run: Mapping[str, object]) -> None:
        """What the rows that follow were made with; a killed batch is known again by it."""
        self._store.append(json.dumps({"run": run}).encode())
        self._store.flush()

    def add(self, row: Row) -> None:
        """What became of a picture, once its result lies there whole."""
        self._store.append(json.dumps(row).encode())
        self._take(row)

    def _take(self, row: Row) -> None:
        if row.get("error", "") is None:
            made = Made(row["output"], row["bytes"], row["how"], row["sha256"], row["state"])
            self.made[row["input"]] = made


@contextmanager
def open_manifest(name: str) -> Iterator[Manifest]:
    """For one batch at a time. Raises InputError."""
    if is_remote(name):
        store = _RemoteStore(name)
        try:
            yield Manifest(store)
        finally:
            store.flush()
        return
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=0):
            store = _DiskStore(path)
            try:
                yield Manifest(store)
            finally:
                store.flush()
    except Timeout as error:
        raise InputError(
            f"another batch writes {path}; wait for its end, or choose another --manifest"
        ) from error
    except OSError as error:
        raise InputError(f"cannot use the manifest {path}: {error.strerror or error}") from error


class _DiskStore:
    def __init__(self, path: Path) -> None:
        self._path, self._torn = path, False

    def lines(self) -> Iterator[bytes]:
        if self._path.exists():
            with self._path.open("rb") as file:
                for line in file:
                    self._torn = not line.endswith(b"\n")
                    yield line

    def append(self, line: bytes) -> None:
        with open_kept(self._path, "ab") as file:
            file.write((b"\n" if self._torn else b"") + line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._torn = False

    def flush(self) -> None:
        pass


class _RemoteStore:
    """Files of lines, in the order of their names."""

    def __init__(self, name: str) -> None:
        place = place_of(name)
        assert isinstance(place, Remote)
        self._system = place.system
        self._folder = self._system._strip_protocol(name)
        self._lines: list[bytes] = []
        self._next = time.monotonic() + _FLUSH_SECONDS

    def lines(self) -> Iterator[bytes]:
        for part in sorted(self._system.find(self._folder)):
            yield from self._system.cat_file(part).splitlines()

    def append(self, line: bytes) -> None:
        self._lines.append(line)
        if time.monotonic() >= self._next or len(self._lines) >= _FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            part = f"{self._folder}/{time.time_ns():020}-{secrets.token_hex(4)}.jsonl"
            make_folder(self._system, self._folder)
            self._system.pipe_file(part, b"\n".join(self._lines) + b"\n")
        self._lines.clear()
        self._next = time.monotonic() + _FLUSH_SECONDS
