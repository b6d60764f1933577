"""The computer's own memory: what is free, within every limit set on this process, and in use.

Linux is read from /proc and the control groups; elsewhere psutil is asked where it is installed,
else the system itself.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def free_host_bytes() -> int | None:
    """What new memory may be taken now without swapping; None where it is unknown.

    The least of what the system calls available, the room in the control groups, and what a limit
    on the address space (RLIMIT_AS) leaves.
    """
    known = [room for _, room in host_rooms()]
    return max(0, min(known)) if known else None


def host_rooms() -> list[tuple[str, int]]:
    """Every limit on new memory that is known here, as what sets it and the bytes it leaves."""
    rooms = [
        ("the system", _available()),
        *(("a control group", room) for room in _cgroup_rooms()),
        ("a limit on the address space", _address_room()),
    ]
    return [(name, room) for name, room in rooms if room is not None]


def total_host_bytes() -> int | None:
    """The memory that this computer has; None where it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        psutil = _psutil()
        return None if psutil is None else int(psutil.virtual_memory().total)


def resident_bytes() -> int | None:
    """Memory that this process holds now, libraries included; None where it is unknown."""
    sizes = _statm()
    if sizes is not None:
        return sizes[1]
    psutil = _psutil()
    return None if psutil is None else int(psutil.Process().memory_info().rss)


def used_host_bytes() -> int | None:
    """Memory of this process in the measure of `free_host_bytes`; None where it is unknown.

    That is what is resident, or the address space in use where that is limited.
    """
    sizes = _statm()
    if sizes is not None and _address_limit() is not None:
        return sizes[0]
    return resident_bytes()


def _available() -> int | None:
    try:
        with Path("/proc/meminfo").open() as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    psutil = _psutil()
    if psutil is not None:
        return int(psutil.virtual_memory().available)
    asked = {"win32": _available_on_windows, "darwin": _available_on_macos}.get(sys.platform)
    return None if asked is None else asked()


class _MemoryStatus(ctypes.Structure):
    """`MEMORYSTATUSEX` of Windows."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("available", ctypes.c_uint64),
        *((f"other_{number}", ctypes.c_uint64) for number in range(5)),
    )


def _available_on_windows() -> int | None:
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - elsewhere ctypes has none
    if not kernel.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.available)


def _available_on_macos() -> int | None:
    try:
        told = subprocess.run(
            ["/usr/bin/vm_stat"], capture_output=True, text=True, timeout=5, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return _of_vm_stat(told)


def _of_vm_stat(told: str) -> int | None:
    """What macOS can give at once: pages that are free, read ahead, or not used lately."""
    size = re.search(r"page size of (\d+) bytes", told)
    pages = dict(re.findall(r"^Pages (free|speculative|inactive): +(\d+)\.", told, re.MULTILINE))
    return int(size[1]) * sum(map(int, pages.values())) if size and "free" in pages else None


def _psutil():  # noqa: ANN202 - a module without types, or None
    try:
        import psutil  # pyright: ignore[reportMissingModuleSource]
    except ImportError:
        return None
    return psutil


def _statm() -> tuple[int, int] | None:
    """Bytes of the address space in use, and of it resident."""
    try:
        pages = Path("/proc/self/statm").read_text().split()
    except OSError:
        return None
    size = os.sysconf("SC_PAGE_SIZE")
    return int(pages[0]) * size, int(pages[1]) * size


def _address_room() -> int | None:
    sizes, limit = _statm(), _address_limit()
    return None if sizes is None or limit is None else limit - sizes[0]


def _address_limit() -> int | None:
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


# -- control groups ------------------------------------------------------------------------------


def _cgroup_rooms() -> Iterator[int]:
    """The room in every group around this process that has a limit.

    File caches count as room where they are inactive: the kernel drops them first.
    """
    for folder in _cgroup_folders():
        try:
            if (folder / "memory.max").is_file():
                yield _room(folder, "memory.max", "memory.current", "inactive_file")
            elif (folder / "memory.limit_in_bytes").is_file():
                yield _room(
                    folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
                )
        except (OSError, ValueError):  # no limit ("max"), or not ours to read
            continue


def _room(folder: Path, limit: str, usage: str, cache: str) -> int:
    most = int((folder / limit).read_text())
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return most - int((folder / usage).read_text()) + int(stat.get(cache, 0))


def _cgroup_folders() -> Iterator[Path]:
    """The folder of this process's group and of all groups around it, in both versions."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = _CGROUPS / "memory" if controllers else _CGROUPS
        folder = root / path.lstrip("/")
        yield from (each for each in (folder, *folder.parents) if each.is_relative_to(root))
