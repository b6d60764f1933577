"""Where a picture comes from: a regular file or bytes in memory, whole or in parts."""

from __future__ import annotations

import io
import os
import stat
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ...errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Buffer

Span = tuple[int, int]
"""First byte and the one behind the last."""


@dataclass(frozen=True)
class Source:
    """A picture that can be opened again and again.

    name: its file, or what to call it in messages. data: its bytes, None where they are in the
    file. spans: the only parts that readers get to see, as if there were no others; None: all.
    """

    name: Path
    data: bytes | None = None
    spans: tuple[Span, ...] | None = None

    def only(self, spans: Sequence[Span]) -> Source:
        """The same picture without what lies outside of these spans."""
        return replace(self, spans=tuple(spans))

    def open(self) -> BinaryIO:
        """A seekable binary file, to be closed by the caller.

        Raises InputError for a folder, a pipe or a device; OSError as `open` does.
        """
        whole = _opened(self.name) if self.data is None else io.BytesIO(self.data)
        if self.spans is None:
            return whole
        return io.BufferedReader(_Parts(whole, self.spans))


def source_of(place: str | Path | BinaryIO, name: str = "standard input") -> Source:
    """The source of a path, or of all that is left in an opened binary file, called `name`."""
    if isinstance(place, (str, Path)):
        return Source(Path(place))
    return Source(Path(name), place.read())


def _opened(path: Path) -> BinaryIO:
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a picture; name a file in it")
    # a pipe would wait for its writer: without O_NONBLOCK, already here
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{path} is a pipe or a device, not a file; save the picture to a file")
    return os.fdopen(descriptor, "rb")


_BINARY = getattr(os, "O_BINARY", 0)


class _Parts(io.RawIOBase):
    """Some spans of a file, one behind the other."""

    def __init__(self, file: BinaryIO, spans: Sequence[Span]) -> None:
        self._file, self._spans, self._at = file, spans, 0
        self._starts = [0, *accumulate(end - start for start, end in spans)]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        number = bisect_right(self._starts, self._at) - 1
        if number >= len(self._spans) or not view:
            return 0
        start, end = self._spans[number]
        place = start + self._at - self._starts[number]
        self._file.seek(place)
        data = self._file.read(min(len(view), end - place))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def write(self, buffer: Buffer, /) -> int:
        raise io.UnsupportedOperation("write")

    def close(self) -> None:
        self._file.close()
        super().close()
