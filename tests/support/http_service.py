"""A real `swin2sr serve` in a process of its own, on a free port."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
_ADDRESS = re.compile(r"http://\S+")


class Server:
    """What a test knows of it. `client` speaks to it and waits a minute at most."""

    def __init__(self, process, address, spool):
        self.process, self.address, self.spool = process, address, spool
        self.client = httpx.Client(base_url=address, timeout=60)

    def wait_ready(self):
        while self.client.get("/readyz").status_code != 200:
            assert self.process.poll() is None
            time.sleep(0.05)
        return self

    def children(self):
        """Processes that it has started, with the module that each runs."""
        listed = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(self.process.pid)],
            capture_output=True,
            text=True,
        ).stdout
        rows = (line.split(None, 1) for line in listed.splitlines())
        return {int(pid): words.split()[-1] for pid, words in rows if "swin2sr" in words}


@contextmanager
def serving(spool, *options, ready=True, spare=False, environment=()):
    """Started, and gone afterwards. spare: whether a process is kept in reserve."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "swin2sr_core",
            "serve",
            "--port",
            "0",
            "--device",
            "cpu",
            "--precision",
            "fp32",
            *([] if spare else ["--no-spare"]),
            "--spool",
            str(spool),
            *map(str, options),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **dict(environment)},
    )
    try:
        line = process.stdout.readline()
        found = _ADDRESS.search(line)
        assert found, line
        server = Server(process, found[0], Path(spool))
        yield server.wait_ready() if ready else server
        server.client.close()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.stdout.close()


def encoded(image, kind="PNG", **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def noise(width, height, seed=0, channels=3):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(pixels)
