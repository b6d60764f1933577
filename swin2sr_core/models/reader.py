"""The one reader of model files: what a file says of its tensors, checked, before any is made.

Needs no torch. A .safetensors file begins with its table of contents as JSON; a torch file pickles
the state dict, with references to the weights in the place of the weights. Only what passes here
becomes tensors (`tensors.build`), and torch's own unpickler never sees a file.
"""

from __future__ import annotations

import json
import os
import pickle
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..errors import CheckpointError, ModelNotFoundError
from .archive import Fetch, is_archive, open_archive, open_old
from .limits import (
    MOST_MODEL_BYTES,
    MOST_NAME_LENGTH,
    MOST_TABLE_BYTES,
    MOST_TENSORS,
)
from .pickles import ITEM_BYTES, CutShort, Entry, Refused, numbers

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

_SAFE_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
_BAD = (
    Refused,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    RecursionError,
    MemoryError,
    NotImplementedError,
    pickle.UnpicklingError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What a damaged file makes of parsers: UnicodeDecodeError is a ValueError, KeyError a lookup."""


@dataclass(frozen=True)
class Contents:
    """What a file holds: tensors by name, perhaps inside `params` and the like; `fetch` gives the
    bytes of storages, in torch's files. `old` is torch's format from before 1.6."""

    path: Path
    tensors: Mapping[object, object]
    metadata: Mapping[str, str] = field(default_factory=dict)
    fetch: Fetch | None = None
    old: bool = False

    def names(self) -> set[str]:
        """Of all tensors, wherever they are."""
        return {name for name, _ in _entries(self.tensors)}


@contextmanager
def opened(path: Path) -> Iterator[Contents]:
    """Looks into a model file; what it holds may be fetched during the block.

    Raises ModelNotFoundError where there is no such file, CheckpointError where it is damaged,
    holds more than tensors or claims more than it has, FileNotFoundError where it just went.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise CheckpointError.saying(
            "model_suffix",
            "{name} ends in {suffix}; a model file ends in one of {known}",
            name=path.name,
            suffix=path.suffix or "nothing",
            known=", ".join(SUFFIXES),
        )
    with _regular(path) as file:
        safe = path.suffix.lower() == ".safetensors"
        contents = _safetensors(path, file) if safe else _torch(path, file)
        yield contents


def read_contents(path: Path) -> Contents:
    """The same for those who want names and shapes alone. Raises what `opened` raises."""
    with opened(path) as contents:
        return contents


@contextmanager
def _regular(path: Path) -> Iterator[BinaryIO]:
    """The file, open for reading: a pipe or a device would hang, or never end."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except ValueError as error:  # a NUL in the name
        raise ModelNotFoundError.saying(
            "model_not_there", "there is no model file of that name; check the path"
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CheckpointError.saying(
                "model_irregular", "{name} is no regular file; a model is one", name=path.name
            )
        if found.st_size > MOST_MODEL_BYTES:
            raise CheckpointError.saying(
                "model_too_large",
                "{name} has {size:,} bytes, more than any Swin2SR; choose another",
                name=path.name,
                size=found.st_size,
            )
        yield file


# -- safetensors ---------------------------------------------------------------------------------


def _safetensors(path: Path, file: BinaryIO) -> Contents:
    """The format: 8 bytes of length, so much JSON, then the data without gaps."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if length > min(size, MOST_TABLE_BYTES):
        raise _no_safetensors(path, f"its header would have {length:,} bytes")
    try:
        table = json.loads(file.read(length))
        metadata = _metadata(table.pop("__metadata__", None))
        entries = {name: _safe_entry(entry) for name, entry in table.items()}
        end = _end([entry["data_offsets"] for entry in table.values()])
        _check(entries)
    except _BAD as error:
        raise _no_safetensors(
            path, "its header is damaged" + (f" ({error})" if isinstance(error, Refused) else "")
        ) from error
    if 8 + length + end != size:
        raise _no_safetensors(path, f"it should have {8 + length + end:,} bytes, and has {size:,}")
    return Contents(path, entries, metadata)


def _metadata(found: object) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise Refused("metadata that is no text")
    return found


def _safe_entry(told: dict[str, object]) -> Entry:
    dtype = _SAFE_TYPES.get(str(told.get("dtype")))
    if dtype is None:
        raise Refused(f"the type {str(told.get('dtype'))[:20]!a}")
    entry = Entry(numbers(told["shape"]), dtype)
    begin, end = numbers_of_any_size(told["data_offsets"])
    if end - begin != entry.size:
        raise Refused("a tensor that has not the bytes of its shape")
    return entry


def numbers_of_any_size(told: object) -> tuple[int, int]:
    """Where a tensor begins and ends. Raises Refused."""
    if not isinstance(told, list) or len(told) != 2 or not all(type(n) is int for n in told):
        raise Refused("offsets that are none")
    if not 0 <= told[0] <= told[1] <= MOST_MODEL_BYTES:
        raise Refused("offsets that are none")
    return told[0], told[1]


def _end(offsets: list[list[int]]) -> int:
    """Where the last tensor ends. Raises Refused for gaps, and for two at one place."""
    at = 0
    for begin, end in sorted(offsets):
        if begin != at:
            raise Refused("gaps between its tensors")
        at = end
    return at


def _no_safetensors(path: Path, reason: str) -> CheckpointError:
    return CheckpointError.saying(
        "safetensors_broken",
        "{name} is no whole safetensors file ({reason}); download or copy it again",
        name=path.name,
        reason=reason,
    )


# -- torch ---------------------------------------------------------------------------------------


def _torch(path: Path, file: BinaryIO) -> Contents:
    try:
        old = not is_archive(file)
        content, fetch = open_old(file) if old else open_archive(file)
        if isinstance(content, dict):
            _check(content)
    except _BAD as error:
        raise _no_torch(path, error) from error
    if not isinstance(content, dict):
        raise CheckpointError.saying(
            "no_tensors",
            "{name} holds no dict of tensors but a {kind}; save the network's state dict",
            name=path.name,
            kind=type(content).__name__,
        )
    return Contents(path, content, fetch=_telling(path, fetch), old=old)


def _telling(path: Path, fetch: Fetch) -> Fetch:
    def told(storage: object) -> bytearray:
        try:
            return fetch(storage)  # type: ignore[arg-type]
        except _BAD as error:
            raise _no_torch(path, error) from error

    return told


def _no_torch(path: Path, error: BaseException) -> CheckpointError:
    if not isinstance(error, Refused) or isinstance(error, CutShort):
        reason = str(error).strip() or "it ends too early"
        return CheckpointError.saying(
            "torch_file_broken",
            "{name} is truncated or no torch file ({reason}); download or copy it again",
            name=path.name,
            reason=reason,
        )
    return CheckpointError.saying(
        "torch_file_unsafe",
        "{name} holds more than tensors, or is damaged ({error}): loading it could run "
        "code, so it is refused; use a .safetensors file or download it again",
        name=path.name,
        error=error,
    )


# -- both ----------------------------------------------------------------------------------------


def _entries(content: Mapping[object, object]) -> Iterator[tuple[str, Entry]]:
    """Of the dict, and of the dicts that it holds."""
    for name, value in content.items():
        inner = value.items() if isinstance(value, dict) else ((name, value),)
        for key, each in inner:
            if isinstance(key, str) and isinstance(each, Entry):
                yield key, each


def _check(content: Mapping[object, object]) -> None:
    """Raises Refused for more tensors than a model has, and for names that are none."""
    for number, (name, entry) in enumerate(_entries(content), 1):
        if number > MOST_TENSORS:
            raise Refused(f"more than {MOST_TENSORS:,} tensors")
        if len(name) > MOST_NAME_LENGTH or not name.isprintable():
            raise Refused(f"a tensor of the name {name[:40]!a}")
        if entry.dtype not in ITEM_BYTES:
            raise Refused("a tensor of no type")
