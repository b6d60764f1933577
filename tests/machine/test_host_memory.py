"""The computer's memory as each system tells it, without a package that asks for us."""

import ctypes
import sys
from types import SimpleNamespace

import pytest

from swin2sr_core.machine import host_memory

VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               12345.
Pages active:                            400000.
Pages inactive:                          300000.
Pages speculative:                         2655.
Pages throttled:                              0.
Pages wired down:                        150000.
"Translation faults":                 123456789.
"""


def test_macos_counts_what_it_can_give_at_once():
    assert host_memory._of_vm_stat(VM_STAT) == 16384 * (12345 + 300000 + 2655)


@pytest.mark.parametrize("told", ["", "page size of 16384 bytes", "Pages free: 5."])
def test_what_is_not_understood_is_unknown(told):
    assert host_memory._of_vm_stat(told) is None


def test_windows_is_asked_with_the_size_it_wants(monkeypatch):
    def fill(pointer):
        status = pointer._obj
        assert status.length == ctypes.sizeof(status) == 64
        status.available = 5 << 30
        return 1

    library = SimpleNamespace(kernel32=SimpleNamespace(GlobalMemoryStatusEx=fill))
    monkeypatch.setattr(ctypes, "windll", library, raising=False)
    assert host_memory._available_on_windows() == 5 << 30
    monkeypatch.setattr(library.kernel32, "GlobalMemoryStatusEx", lambda pointer: 0)
    assert host_memory._available_on_windows() is None


@pytest.mark.skipif(sys.platform != "linux", reason="there the system is asked for real")
def test_there_is_a_budget_without_psutil(monkeypatch):
    monkeypatch.setattr(host_memory, "_psutil", lambda: None)
    room = host_memory.free_host_bytes()
    assert room is not None and 0 < room < 1 << 50


@pytest.mark.skipif(sys.platform not in ("win32", "darwin"), reason="asks those systems for real")
def test_the_system_answers(monkeypatch):
    monkeypatch.setattr(host_memory, "_psutil", lambda: None)
    assert (host_memory.free_host_bytes() or 0) > 1 << 26
