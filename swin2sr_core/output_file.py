"""A file that appears whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swin2sr_core.errors import InputError, OutputExistsError

_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}


class _Sink(io.BufferedWriter):
    """A file to write to whose failures are told as InputError.

    It hides its descriptor: given one, Pillow writes past Python and loses the reason of a failure.
    """

    def __init__(self, temporary: Path, target: Path) -> None:
        self._target = target
        self._file = io.FileIO(temporary, "xb")
        super().__init__(self._file, 1 << 20)

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")

    def write(self, buffer: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        try:
            return super().write(buffer)
        except OSError as error:
            raise _explained(error, self._target) from error

    def finish(self) -> None:
        """Have everything on the disk, and close."""
        try:
            self.flush()
            os.fsync(self._file.fileno())
            self.close()
        except OSError as error:
            raise _explained(error, self._target) from error

    def abandon(self) -> None:
        """Close without writing what is still in the buffer."""
        self._file.close()


@contextmanager
def output_file(path: Path, *, overwrite: bool = False) -> Iterator[io.BufferedWriter]:
    """A seekable binary file that becomes `path` when the block ends well, and vanishes otherwise.

    It is written under a temporary name in the same folder and renamed at the end, so a reader
    never sees half a file, whatever interrupts the block.

    Raises OutputExistsError if `path` is there and `overwrite` is false, InputError when the
    folder is missing or read-only, or the disk is full.
    """
    _check_target(path, overwrite)
    temporary = path.with_name(f".swin2sr-{secrets.token_hex(8)}.tmp")
    try:
        sink = _Sink(temporary, path)
    except OSError as error:
        raise _explained(error, path) from error
    try:
        yield sink
        sink.finish()
        _check_target(path, overwrite)
        _rename(temporary, path)
    except BaseException:
        sink.abandon()
        temporary.unlink(missing_ok=True)
        raise


def _check_target(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise InputError(f"the output {path} is a folder; name a file in it")
    if not overwrite and os.path.lexists(path):
        raise OutputExistsError(
            f"the output {path} exists already; allow overwriting or choose another name"
        )
    if not path.parent.is_dir():
        raise InputError(f"the output folder {path.parent} does not exist; create it first")


def _rename(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except OSError as error:
        raise _explained(error, path) from error


def _explained(error: OSError, path: Path) -> InputError:
    if error.errno in _FULL:
        return InputError(f"the disk is full: {path} was not written; free some space there")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return InputError(
            f"cannot write {path}: its folder or the file is read-only; choose another place"
        )
    return InputError(f"cannot write {path}: {error.strerror or error}; choose another place")
