"""A Python process of ours that answers JSON lines, as its parent sees it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

Message = dict[str, Any]

_ROOT = Path(__file__).resolve().parents[2]
_LINE_BYTES = 16 << 20
_READ_BYTES = 1 << 16


class Child:
    """`python -m MODULE`, which ends by itself once this process is gone: its input closes."""

    def __init__(self, process: asyncio.subprocess.Process, module: str) -> None:
        self._process = process
        self._logger = logging.getLogger(module)
        self._overhearing = asyncio.create_task(self._overhear())

    @classmethod
    async def start(cls, module: str, environment: Mapping[str, str] | None = None) -> Child:
        """Start it in the folder of our packages, where `-m` finds no stranger's modules."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": _search_path(), **(environment or {})},
            limit=_LINE_BYTES,
        )
        return cls(process, module)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def cpu_seconds(self) -> float | None:
        """That it has computed so far; None where the system does not tell, or it is gone."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return None
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def send(self, message: Message) -> None:
        """Nothing is raised where it is dead: the next `receive` tells."""
        stream = self._process.stdin
        if stream is not None and not stream.is_closing():
            with suppress(OSError):
                stream.write(json.dumps(message).encode() + b"\n")

    async def receive(self) -> Message | None:
        """The next message; None once it has ended."""
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
        except (OSError, ValueError):
            line = b""
        if not line.endswith(b"\n"):
            self.kill()
            return None
        return json.loads(line)

    async def ended(self) -> None:
        """Wait until it is gone."""
        await self._process.wait()

    def kill(self) -> None:
        if not self._dead():
            with suppress(ProcessLookupError):
                self._process.kill()

    async def end(self, patience: float = 2.0) -> None:
        """Close its input, and kill it where that does not end it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), patience)
        except asyncio.TimeoutError:
            self.kill()
            await self._process.wait()

    def _dead(self) -> bool:
        """Whether it is, without taking its status: that is for asyncio, which complains if it is
        gone, and `Popen.kill` takes it."""
        if not hasattr(os, "waitid"):
            return not self.alive
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    async def _overhear(self) -> None:
        """Hand on to our log what it or its libraries print, whatever that is."""
        assert self._process.stderr is not None
        rest = b""
        while data := await self._process.stderr.read(_READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for line in (*lines, *([rest] if len(rest) > _READ_BYTES else [])):
                self._logger.warning("%s", line.decode("utf-8", "replace").rstrip())
            rest = b"" if len(rest) > _READ_BYTES else rest
        if rest:
            self._logger.warning("%s", rest.decode("utf-8", "replace").rstrip())


def _search_path() -> str:
    return os.pathsep.join(path for path in sys.path if path)
