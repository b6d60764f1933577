"""`-`: a picture from standard input, a picture to standard output."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from swin2sr_core.errors import InputError
from swin2sr_core.pictures.files.formats import FORMATS
from swin2sr_core.temporary import temporary_folder

STREAM = "-"
_STDIN_NAMES = (STREAM, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_STDOUT_NAMES = (STREAM, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def reads_stdin(inputs: Sequence[str]) -> bool:
    """Whether standard input is one of the inputs. Raises InputError beside others."""
    if not any(name in _STDIN_NAMES for name in inputs):
        return False
    if len(inputs) > 1:
        raise InputError("standard input (-) is one picture: name no others beside it")
    return True


def writes_stdout(inputs: Sequence[str], output: str | None, json: bool) -> bool:
    """Whether the picture goes to standard output: asked for, or read from standard input."""
    to_stream = output in _STDOUT_NAMES or (output is None and reads_stdin(inputs))
    if to_stream and json:
        raise InputError("--json and the picture both want standard output; name a file with -o")
    if to_stream and sys.stdout.isatty():
        raise InputError("a picture is nothing for a terminal; name a file with -o, or use a pipe")
    return to_stream


@contextmanager
def from_stdin() -> Iterator[Path]:
    """A file with what standard input holds, called by its format; gone after the block."""
    with temporary_folder() as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if not path.stat().st_size:
            raise InputError("nothing came on standard input; expected a picture")
        yield path.rename(path.with_suffix(_suffix_of(path)))


@contextmanager
def to_stdout(suffix: str) -> Iterator[Path]:
    """A path to write to; what lies there after the block goes to standard output."""
    with temporary_folder() as folder:
        path = Path(folder) / f"stdout{suffix}"
        yield path
        if not path.exists():
            return  # it failed, and that is told elsewhere
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise InputError(
                "the reader of standard output left before it had the picture"
            ) from error


def _suffix_of(path: Path) -> str:
    """The suffix of the format that a file's content is of; none where nobody knows it."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            kind = "JPEG" if image.format == "MPO" else image.format
    except (OSError, ValueError, SyntaxError):
        return ""
    return next((suffix for suffix, name in FORMATS.items() if name == kind), "")
