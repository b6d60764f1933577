"""What the programs of this folder share: a server of their own, a cheap client, and its processes.

Linux alone: processes are read from /proc.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "support"))
from control_groups import control_group  # noqa: E402
from hostile_uploads import hostile_uploads  # noqa: E402
from http_service import Server, encoded, noise, serving  # noqa: E402

__all__ = [
    "ROOT",
    "Answer",
    "Client",
    "Server",
    "control_group",
    "encoded",
    "hostile_uploads",
    "noise",
    "picture",
    "serving",
    "sums",
    "totals",
    "tree",
]

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Answer:
    """What came back, and how long after it was asked for."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def report(self) -> dict:
        """Of a picture that was made."""
        return json.loads(self.headers["x-swin2sr-report"])


class Client:
    """One kept connection, with as little work of its own as can be."""

    def __init__(self, address: str, timeout: float = 120.0) -> None:
        parts = urlsplit(address)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout)

    def upscale(self, body: bytes, query: str = "", kind: str = "image/png") -> Answer:
        """POST /upscale with the picture as the body."""
        begun = time.perf_counter()
        self.connection.request("POST", f"/upscale{query}", body, {"Content-Type": kind})
        answer = self.connection.getresponse()
        data = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, data, time.perf_counter() - begun)

    def close(self) -> None:
        self.connection.close()


def picture(width: int, height: int, seed: int = 0, channels: int = 3) -> Image.Image:
    """Soft shapes with a little noise: it compresses as photographs do."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (9 + k) + y / (17 + 3 * k) + seed + k) for k in range(channels)]
    noise = np.random.default_rng(seed).normal(0, 4, (height, width, channels))
    pixels = (np.stack(waves, -1) * 110 + 128 + noise).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels.squeeze())


def tree(pid: int) -> Iterator[int]:
    """The process and all that descend from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from tree(int(child))


def totals(pid: int) -> dict[str, tuple[float, int]]:
    """CPU seconds and resident bytes of each process of a tree, by number and module."""
    found = {}
    for each in tree(pid):
        words = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
        name = next((w.decode() for w in words if w.startswith(b"swin2sr")), "?")
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / _TICKS
        resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        found[f"{each} {name.rpartition('.')[2]}"] = seconds, resident
    return found


def sums(text: str, name: str) -> float:
    """Of one metric over its labels, in Prometheus' text."""
    lines = [line for line in io.StringIO(text) if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
