"""Free memory within every limit, and a watch that looks ahead."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from control_groups import control_group

from swin2sr_core.engine import watch
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.planning.candidates import fastest_pass

CPU = torch.device("cpu")
CONFIG = Swin2SRConfig(3, 60, (2,), (6,), 8, 120, 2, "pixelshuffledirect", "1conv", 1.0)
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
ROOT = Path(__file__).parents[2]
MB = 1 << 20


def run(code: str, **options) -> str:
    """What a process of its own prints: limits can't be taken back."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **options,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@ON_LINUX
def test_what_is_resident_follows_what_is_used():
    """In a process of its own: elsewhere the memory of earlier tests is used again."""
    printed = run("""
        from swin2sr_core.machine.host_memory import resident_bytes
        before = resident_bytes()
        block = bytearray(b"x") * (40 << 20)
        print(resident_bytes() - before)
    """)
    assert 38 * MB < int(printed) < 45 * MB


@ON_LINUX
def test_a_limit_on_the_address_space_is_a_limit():
    printed = run("""
        import resource
        from swin2sr_core.machine.host_memory import free_host_bytes, _statm
        limit = _statm()[0] + (100 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        print(free_host_bytes())
    """)
    assert 90 * MB < int(printed) <= 100 * MB


@ON_LINUX
def test_the_limit_of_a_control_group_is_a_limit():
    folder = control_group(400 * MB)
    if folder is None:
        pytest.skip("may not make a control group here")
    try:
        printed = run(f"""
            import os
            from pathlib import Path
            Path({str(folder / "cgroup.procs")!r}).write_text(str(os.getpid()))
            from swin2sr_core.machine.host_memory import free_host_bytes
            print(free_host_bytes())
            block = bytearray(b"x") * (200 << 20)
            print(free_host_bytes())
        """)
    finally:
        folder.rmdir()
    before, after = (int(line) for line in printed.split())
    assert before <= 400 * MB
    assert 180 * MB < before - after < 220 * MB


@pytest.fixture
def system(monkeypatch):
    """What the system says: `used` and `free`, to be set."""
    says = {"used": 0, "free": 1 << 40}
    monkeypatch.setattr(watch, "used_bytes", lambda device: says["used"])
    monkeypatch.setattr(watch, "free_bytes", lambda device: says["free"])
    monkeypatch.setattr(watch, "_SECONDS", 0)
    return says


def test_a_run_within_its_forecast_is_left_alone(system):
    plan = fastest_pass(CONFIG, 512, 512, "fp32", unified=True)
    looking = watch.MemoryWatch(CPU, plan.charged_bytes)
    looking.expect(plan)
    for share in (0, 0.5, 1):
        system["used"] = int(plan.charged_bytes * share)
        system["free"] = plan.charged_bytes - system["used"]
        looking.check()
    assert looking.peak_bytes == plan.charged_bytes


def test_what_is_over_the_budget_is_said(system):
    plan = fastest_pass(CONFIG, 64, 64, "fp32", unified=True)
    looking = watch.MemoryWatch(CPU, 100 * MB)
    looking.expect(plan)
    system["used"] = 200 * MB
    with pytest.raises(watch.OverBudget, match="200 MB taken, of a budget of 100 MB"):
        looking.check()


def test_what_will_not_fit_is_said_before_it_fails(system):
    plan = fastest_pass(CONFIG, 512, 512, "fp32", unified=True)
    looking = watch.MemoryWatch(CPU, None)
    looking.expect(plan)
    system["free"] = 10 * MB
    with pytest.raises(watch.OverBudget, match=r"more to come and only 10\.0 MB free"):
        looking.check()
    looking.ignore()
    looking.check()


def test_the_peak_is_the_most_there_was_and_not_what_is_left(system):
    looking = watch.MemoryWatch(CPU, None)
    for used in (10, 70, 30):
        system["used"] = used * MB
        looking.check()
    assert looking.peak_bytes == 70 * MB
