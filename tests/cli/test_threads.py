"""Threads that wait asleep: set before torch reads it, and never against the user."""

import os
import subprocess
import sys

import pytest

from swin2sr_headless.cli.threads import wait_asleep

ASKED = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@pytest.fixture
def fresh(monkeypatch):
    """A process that has not loaded torch, and a user who has said nothing."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    for name in ASKED:
        monkeypatch.delenv(name, raising=False)


def test_threads_sleep_at_barriers(fresh, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # put back after the test
    monkeypatch.delenv("OMP_WAIT_POLICY")
    wait_asleep()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"


@pytest.mark.parametrize("name", ASKED)
def test_what_the_user_has_set_wins(name, fresh, monkeypatch):
    monkeypatch.setenv(name, "active")
    before = dict(os.environ)
    wait_asleep()
    assert dict(os.environ) == before


def test_after_torch_nothing_is_changed(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", object())
    before = dict(os.environ)
    wait_asleep()
    assert dict(os.environ) == before


def test_the_command_line_says_it_before_torch_reads_it(tmp_path):
    """libgomp shows what it has read."""
    clean = {name: value for name, value in os.environ.items() if name not in ASKED}
    code = (
        "import sys; from swin2sr_headless.cli.main import main; code = main(['models', 'list']);"
        "assert 'torch' not in sys.modules; import torch; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | {"OMP_DISPLAY_ENV": "TRUE"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    if "OMP_WAIT_POLICY" not in done.stderr:
        pytest.skip("this OpenMP shows nothing")
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr
