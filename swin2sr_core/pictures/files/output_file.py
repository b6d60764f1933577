"""A file that appears whole or not at all."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError, OutputExistsError, disk_is_full
from ...temporary import temporary_file

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BUFFER_BYTES = 1 << 20


class _File(io.FileIO):
    """A new file whose failing writes are told as InputError, whoever triggered them."""

    def __init__(self, descriptor: int, target: Path) -> None:
        self._target = target
        super().__init__(descriptor, "wb")

    def write(self, buffer: Buffer, /) -> int | None:
        try:
            return super().write(buffer)
        except OSError as error:
            raise _explained(error, self._target) from error


class _Sink(io.BufferedWriter):
    """A file to write to, without its descriptor.

    Given one, Pillow writes past Python and loses the reason of a failure.
    """

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


@contextmanager
def output_file(path: Path, *, overwrite: bool = False) -> Iterator[io.BufferedWriter]:
    """A seekable binary file that becomes `path` when the block ends well, and vanishes otherwise.

    It is written under a temporary name in the same folder and renamed at the end, so a reader
    never sees half a file, whatever interrupts the block.

    Raises OutputExistsError if `path` is there and `overwrite` is false, InputError when the
    folder is missing or read-only, or the disk is full.
    """
    with _told(path):
        try:
            _check_target(path, overwrite)
            if "\0" in str(path) or not os.fsencode(path):
                raise ValueError
        except ValueError as error:  # a NUL or half a character
            raise InputError(f"cannot write {path}: no file can have that name") from error
        temporary, descriptor = temporary_file(path.parent)
    file = _File(descriptor, path)
    try:
        sink = _Sink(file, _BUFFER_BYTES)
        yield sink
        with _told(path):
            sink.flush()
            os.fsync(file.fileno())
            sink.close()
        _check_target(path, overwrite)
        with _told(path):
            temporary.replace(path)
    except BaseException:
        file.close()  # and not the sink, which would try to write the rest
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


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _explained(error, path) from error


def _explained(error: OSError, path: Path) -> InputError:
    if disk_is_full(error):
        return InputError(f"the disk is full: {path} was not written; free some space there")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return InputError(
            f"cannot write {path}: its folder or the file is read-only; choose another place"
        )
    return InputError(f"cannot write {path}: {error.strerror or error}; choose another place")
