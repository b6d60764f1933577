"""The gate tells files that take long from a machine that is slow."""

import asyncio
import os
import signal
import sys

import pytest
from http_service import encoded, noise

from swin2sr_core.models.model import load_model
from swin2sr_headless.service import gate as gate_module
from swin2sr_headless.service.gate import Gate, GateRefused

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc as on Linux")
MANY_FRAMES = 9000


@pytest.fixture(scope="module")
def message():
    from dataclasses import asdict

    return {
        "options": [],
        "format": "png",
        "first_only": False,
        "prospect": asdict(load_model("compact-x4", "fp32", "cpu").prospect),
        "free_bytes": 1 << 30,
        "program_bytes": 0,
    }


def sent(message, path, content):
    path.write_bytes(content)
    return {**message, "path": str(path)}


def run(gate, work):
    async def whole():
        await gate.start()
        try:
            await work(gate._child.pid)
        finally:
            await gate.stop()

    asyncio.run(whole())


def test_a_picture_is_let_in_however_slow_the_machine_is(tmp_path, message):
    gate = Gate(patience=0.2)
    asked = sent(message, tmp_path / "a.in", encoded(noise(8, 8)))

    async def work(pid):
        os.kill(pid, signal.SIGSTOP)
        asking = asyncio.create_task(gate.ask(asked))
        await asyncio.sleep(4 * gate.patience)
        assert not asking.done()
        os.kill(pid, signal.SIGCONT)
        assert (await asking)["header"]["width"] == 8
        assert gate._child.pid == pid

    run(gate, work)


def test_one_that_never_answers_is_replaced(tmp_path, message):
    gate = Gate(longest=0.3)
    asked = sent(message, tmp_path / "a.in", encoded(noise(8, 8)))

    async def work(pid):
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(GateRefused, match="took more than"):
            await gate.ask(asked)
        gate.longest = 15.0
        assert (await gate.ask(asked))["ok"] and gate._child.pid != pid

    run(gate, work)


def test_a_file_that_takes_long_is_refused(tmp_path, message, monkeypatch):
    monkeypatch.setattr(gate_module, "_LOOK_SECONDS", 0.002)  # a fast machine reads it in 0.1 s
    gate = Gate(patience=0.01)
    frame = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"  # 1x1
    palette = bytes(6)
    slow = b"GIF89a\1\0\1\0\x80\0\0" + palette + frame * MANY_FRAMES + b"\x3b"
    asked = sent(message, tmp_path / "a.in", slow)

    async def work(_pid):
        with pytest.raises(GateRefused, match="took more than"):
            await gate.ask(asked)

    run(gate, work)
