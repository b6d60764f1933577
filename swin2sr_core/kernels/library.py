"""The compiled kernels: where the library is, and what it offers on this CPU. Needs no torch.

It is built from `native/` by `python -m swin2sr_core.kernels build`, never at import. Its name
carries the kind of CPU and a hash of the sources, so that one made of others, or for another CPU,
is not taken.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..machine.cache_folder import cache_folder

log = logging.getLogger(__name__)

SOURCES = Path(__file__).resolve().parent / "native"

BUILD_COMMAND = "python -m swin2sr_core.kernels build"

_SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}


class BlockArguments(ctypes.Structure):
    """`SwinBlock` of native/block.h."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("tokens", "channels", "heads", "width", "hidden")),
        ("bounded", ctypes.c_int32),
        ("norm1_eps", ctypes.c_float),
        ("norm2_eps", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("qkv", "qkv_bias", "q_scale", "bias")),
        *((name, ctypes.c_void_p) for name in ("proj", "proj_bias", "norm1_weight", "norm1_bias")),
        *((name, ctypes.c_void_p) for name in ("fc1", "fc1_bias", "fc2", "fc2_bias")),
        *((name, ctypes.c_void_p) for name in ("norm2_weight", "norm2_bias")),
    )


class ConvArguments(ctypes.Structure):
    """`SwinConv` of native/block.h."""

    _fields_ = (
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("floats", ctypes.c_int32),
        ("replicates", ctypes.c_int32),
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
    )


class BoxArguments(ctypes.Structure):
    """`SwinBox` of native/block.h."""

    _fields_ = tuple((name, ctypes.c_int32) for name in ("top", "left", "bottom", "right"))


class Place(ctypes.Structure):
    """`SwinPlace` of native/block.h."""

    _fields_ = (("columns", ctypes.c_int32), ("box", BoxArguments), ("bounds", BoxArguments))


class _KernelHead(ctypes.Structure):
    """The start of `SwinKernel` of native/block.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("rows", ctypes.c_int32),
        ("panel", ctypes.c_int32),
        ("word", ctypes.c_int32),
        ("number_bytes", ctypes.c_int32),
        ("depth", ctypes.c_int32),
        ("by_rows", ctypes.c_int32),
        ("scratch", ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)),
    )


@dataclass(frozen=True)
class NativeKernel:
    """One instruction set's kernel: its name ("fp32 AVX2"), and how it wants weights packed.

    Tiles are `rows` by `panel` tokens; `word` is how many numbers are multiplied as one, `depth`
    how many words at once. A group of weights is rows x words if `by_rows`, else words x rows.
    """

    name: str
    rows: int
    panel: int
    word: int
    depth: int
    by_rows: bool
    address: int
    library: Library

    @property
    def precision(self) -> str:
        return self.name.partition(" ")[0]

    @property
    def scratch(self) -> Callable[[object], int]:
        """(reference to a block's arguments) -> floats of memory that a thread needs for it."""
        return _KernelHead.from_address(self.address).scratch

    def run(
        self,
        block: BlockArguments,
        source: int,
        target: int,
        index: int,
        windows: int,
        threads: int,
    ) -> None:
        """`block` on the windows of `index`; all are addresses. Raises MemoryError."""
        failed = self.library.handle.swin2sr_run(
            self.address, ctypes.byref(block), source, target, index, windows, threads
        )
        if failed:
            raise MemoryError("there is no memory for a window of the fused kernel")

    def convolve(
        self, conv: ConvArguments, place: Place, source: int, target: int, threads: int
    ) -> None:
        """target += conv of source, which are addresses. Raises MemoryError, with a part added."""
        failed = self.library.handle.swin2sr_convolve(
            self.address, ctypes.byref(conv), ctypes.byref(place), source, target, threads
        )
        if failed:
            raise MemoryError("there is no memory for a strip of the fused kernel")


@dataclass(frozen=True, eq=False)
class Library:
    """A library that is loaded."""

    path: Path
    handle: ctypes.CDLL

    @classmethod
    def load(cls, path: Path) -> Library:
        """Raises OSError for what is no library, AttributeError for what is another."""
        handle = ctypes.CDLL(str(path))
        handle.swin2sr_kernel.restype = ctypes.c_void_p
        handle.swin2sr_kernel.argtypes = [ctypes.c_int]
        handle.swin2sr_run.restype = ctypes.c_int
        handle.swin2sr_run.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int] * 2
        handle.swin2sr_convolve.restype = ctypes.c_int
        handle.swin2sr_convolve.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int]
        return cls(path, handle)

    @property
    def kernels(self) -> tuple[NativeKernel, ...]:
        """Those that this CPU can run, the fastest of each precision first."""
        found = []
        while address := self.handle.swin2sr_kernel(len(found)):
            head = _KernelHead.from_address(address)
            sizes = head.rows, head.panel, head.word, head.depth, bool(head.by_rows)
            found.append(NativeKernel(head.name.decode(), *sizes, address, self))
        return tuple(found)


def file_name() -> str:
    """Of the library that belongs to these sources and this kind of CPU."""
    machine = platform.machine().lower() or "unknown"
    suffix = _SUFFIXES.get(sys.platform, ".so")
    return f"swin2sr_kernels-{sys.platform}-{machine}-{_source_hash()}{suffix}"


def folders() -> tuple[Path, Path]:
    """Where a library may lie: beside the sources, else (a read-only place) in the user's cache."""
    cache = cache_folder(sys.platform, os.environ, Path.home())
    return SOURCES.parent / "built", cache / "kernels"


def find() -> Path | None:
    """The library's file; None where it has not been built."""
    paths = (folder / file_name() for folder in folders())
    return next((path for path in paths if path.is_file()), None)


@lru_cache(maxsize=1)
def loaded() -> Library | None:
    """The library, loaded once; None where there is none or it can't be loaded, which is logged."""
    path = find()
    if path is None:
        log.info("no fused kernels: they have not been built (%s)", BUILD_COMMAND)
        return None
    try:
        return Library.load(path)
    except (OSError, AttributeError) as error:
        log.warning("the fused kernels in %s can't be loaded: %s", path, error)
        return None


@lru_cache(maxsize=1)
def _source_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        if path.suffix in (".h", ".cpp"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
