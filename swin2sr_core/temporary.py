"""Temporary files and folders: each tells who made it, and goes when that process is gone.

A killed process can't tidy up. So a name holds its owner, and whoever makes the next one in a place
removes those whose owner no longer runs. An owner is a machine, a process and when it started, for
the numbers of processes come again. What machines of a shared folder left stays for a week.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

_NAME = re.compile(r"\.?swin2sr-([0-9a-f]{8})-(\d+)-([0-9a-f]{8})-.*")
_ELSEWHERE_SECONDS = 7 * 24 * 3600.0
_UNKNOWN = "00000000"
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | _NOFOLLOW

_swept: set[Path] = set()


def temporary_file(folder: Path) -> tuple[Path, int]:
    """A new file in `folder` under a name that nobody can guess, and its descriptor to write to.

    Links are not followed, nor is what is there opened. The first call for a folder removes what
    dead processes left in it. Raises OSError.
    """
    sweep(folder)
    path = folder / f".swin2sr-{_owner()}-{secrets.token_hex(8)}.tmp"
    return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A small file that takes the place of `path` when the block ends well: whole, on the disk."""
    temporary, descriptor = temporary_file(path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A new folder in the system's temporary one; it goes with the block, or with the object."""
    sweep(Path(tempfile.gettempdir()))
    return tempfile.TemporaryDirectory(prefix=f"swin2sr-{_owner()}-", ignore_cleanup_errors=True)


def open_kept(path: Path, mode: str) -> BinaryIO:
    """Open a file that is kept between runs ("ab", "wb", "r+b"), made where it is not there.

    A link in its place is removed, for what it leads to is somebody else's. Raises OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.is_symlink():
            path.unlink()
    extra = {"ab": os.O_WRONLY | os.O_APPEND, "wb": os.O_WRONLY | os.O_TRUNC, "r+b": os.O_RDWR}
    descriptor = os.open(path, extra[mode] | os.O_CREAT | _FLAGS, 0o666)
    return cast(BinaryIO, os.fdopen(descriptor, mode))


def sweep(folder: Path) -> None:
    """Remove what processes left in `folder` that are gone; once per folder and process."""
    if folder in _swept:
        return
    _swept.add(folder)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if found := _NAME.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_if_left(entry, found[1], int(found[2]), found[3])


def _remove_if_left(entry: os.DirEntry[str], machine: str, process: int, birth: str) -> None:
    state = entry.stat(follow_symlinks=False)
    if hasattr(os, "getuid") and state.st_uid != os.getuid():
        return  # of another user
    if machine != _machine():
        if time.time() - state.st_mtime < _ELSEWHERE_SECONDS:
            return
    elif _lives(process, birth):
        return
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        Path(entry.path).unlink()


def _owner() -> str:
    return f"{_machine()}-{os.getpid()}-{_own_birth(os.getpid()) or _UNKNOWN}"


def _lives(process: int, birth: str) -> bool:
    """Whether the process still runs; where nobody can tell, it does."""
    now = _birth(process)
    return now is not None and (birth == _UNKNOWN or now in (_UNKNOWN, birth))


@cache
def _machine() -> str:
    """Eight digits for this machine; containers of one count as several."""
    space = ""
    with contextlib.suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return _digest(f"{platform.node()} {space}")


@cache
def _own_birth(process: int) -> str | None:
    return _birth(process)


def _birth(process: int) -> str | None:
    """Eight digits for when a process started; None where there is none of that number."""
    if sys.platform == "linux":
        return _birth_on_linux(process)
    if sys.platform == "win32":
        return _birth_on_windows(process)
    return _birth_by_ps(process)


def _birth_on_linux(process: int) -> str | None:
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _UNKNOWN
    except OSError:
        return _UNKNOWN
    # the name of the program, in brackets, may hold anything; the start is the 20th word after it
    return _digest(f"{boot} {stat.rpartition(b')')[2].split()[19].decode()}")


def _birth_by_ps(process: int) -> str | None:
    try:
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(process)],
            capture_output=True,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return _UNKNOWN
    return _digest(done.stdout.decode("ascii", "replace").strip()) if done.stdout.strip() else None


def _birth_on_windows(process: int) -> str | None:
    import ctypes

    kernel = ctypes.windll.kernel32  # pyright: ignore[reportAttributeAccessIssue]
    kernel.OpenProcess.restype = ctypes.c_void_p
    query, denied, still_active = 0x1000, 5, 259
    handle = kernel.OpenProcess(query, False, process)
    if not handle:
        return _UNKNOWN if kernel.GetLastError() == denied else None
    try:
        code = ctypes.c_ulong()
        times = [ctypes.c_ulonglong() for _ in range(4)]
        known = kernel.GetExitCodeProcess(ctypes.c_void_p(handle), ctypes.byref(code))
        known = known and kernel.GetProcessTimes(
            ctypes.c_void_p(handle), *(ctypes.byref(each) for each in times)
        )
        if not known:
            return _UNKNOWN
        return _digest(str(times[0].value)) if code.value == still_active else None
    finally:
        kernel.CloseHandle(ctypes.c_void_p(handle))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
