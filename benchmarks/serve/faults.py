"""Processes killed and stopped, a full disk, clients that go: is anything lost, wrong or left?

    python benchmarks/serve/faults.py [--only TEXT]

Every row is one fault under load: jobs and requests with a few pictures, whose results must be the
command line's bytes. Afterwards no process of the server may run, and nothing but results and the
store may lie in its spool. The full disk is a small file system in memory: that row needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from measuring import ROOT, Server, encoded, picture, serving, sums, tree

SIZES = ((24, 16), (64, 48), (160, 120), (200, 200))
PICTURES = [encoded(picture(*size, seed)) for seed, size in enumerate(SIZES)]
_ENDED = ("done", "failed", "cancelled")
_MB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        made = expected(Path(name))
        for row in (
            worker_killed,
            gate_killed,
            app_killed,
            worker_stopped,
            disk_full,
            clients_gone,
        ):
            if arguments.only not in row.__name__:
                continue
            begun = time.perf_counter()
            faults = row(Path(name) / row.__name__, made)
            failed += bool(faults)
            told = "; ".join(faults) or "nothing lost, wrong or left"
            print(f"{row.__name__:<15}{time.perf_counter() - begun:6.1f} s  {told}", flush=True)
    sys.exit(bool(failed))


def expected(folder: Path) -> list[bytes]:
    """What the command line makes of the pictures."""
    made = []
    for number, content in enumerate(PICTURES):
        source, output = folder / f"{number}.in", folder / f"{number}.png"
        source.write_bytes(content)
        words = ["upscale", source, "-o", output, "--device", "cpu", "--precision", "fp32"]
        words = [sys.executable, "-m", "swin2sr_core", *map(str, words), "--strip-metadata"]
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
        made.append(output.read_bytes())
    return made


# -- rows ------------------------------------------------------------------------------------------


def worker_killed(folder: Path, made: list[bytes]) -> list[str]:
    """kill -9 of the worker, three times."""
    return _under_load(folder, made, lambda server: _kill(server, "worker", signal.SIGKILL))


def gate_killed(folder: Path, made: list[bytes]) -> list[str]:
    """kill -9 of the gate, three times."""
    return _under_load(folder, made, lambda server: _kill(server, "gate_process", signal.SIGKILL))


def worker_stopped(folder: Path, made: list[bytes]) -> list[str]:
    """SIGSTOP of the worker under a picture whose client gives up: the next ones are made."""
    with _watched(folder) as (server, faults):
        asking = _asking(server, 3, [])
        _until(lambda: _running(server))
        _kill(server, "worker", signal.SIGSTOP)
        asking.join(1)
        with contextlib.suppress(httpx.TransportError):
            httpx.post(f"{server.address}/upscale?timeout=1", content=PICTURES[3], headers=_PNG)
        job = _job(server)
        with contextlib.suppress(httpx.TransportError):
            server.client.post("/upscale?timeout=1", content=PICTURES[0], headers=_PNG)
        for pid in _pids(server, "worker"):  # as its operator would
            os.kill(pid, signal.SIGKILL)
        faults += _compared(server, job, made)
        asking.join()
    return faults


def app_killed(folder: Path, made: list[bytes]) -> list[str]:
    """kill -9 of the app while it works on a job, twice; the next one goes on."""
    faults: list[str] = []
    job = None
    for _ in range(2):
        with serving(folder) as server:
            job = job or _job(server)
            _until(lambda server=server: _running(server))
            pids = list(tree(server.process.pid))
            server.process.kill()
            server.process.wait()
            faults += _left_running(pids)
    with _watched(folder) as (server, more):
        assert job is not None
        more += _compared(server, job, made)
    return faults + more


def disk_full(folder: Path, made: list[bytes]) -> list[str]:
    """A spool that holds fewer results than are asked for: sentences, and then it goes on."""
    folder.mkdir()
    size = f"size={69 * _MB}"  # the spool keeps 64 MB free
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        return ["not tried: no file system could be mounted here"]
    try:
        with _watched(folder, full=True) as (server, faults):
            filler = folder / "filler"
            filler.write_bytes(bytes(4 * _MB + 700_000))
            answer = server.client.post("/upscale", content=PICTURES[3], headers=_PNG)
            if answer.status_code not in (503, 507):
                faults.append(f"with a full disk: {answer.status_code} {answer.text[:80]}")
            filler.unlink()
            job = _job(server)
            faults += _compared(server, job, made)
            filler.write_bytes(bytes(65 * _MB))
            with contextlib.suppress(OSError), filler.open("ab") as file:
                while True:
                    file.write(bytes(4096))
            for path in ("/healthz", "/readyz"):
                if server.client.get(path).status_code != 200:
                    faults.append(f"{path} is not well with a full disk")
            filler.unlink()
            answer = server.client.post("/upscale", content=PICTURES[1], headers=_PNG)
            if answer.content != made[1]:
                faults.append(f"after the full disk: {answer.status_code}")
        return faults
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def clients_gone(folder: Path, made: list[bytes]) -> list[str]:
    """Clients that go in the headers, in the body, while they wait and while they are answered."""
    with _watched(folder) as (server, faults):
        body = PICTURES[3]
        head = (
            f"POST /upscale HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        for content, seconds in (
            (head[:20], 0.0),
            (head, 0.0),
            (head + body[:1000], 0.1),
            (head + body, 0.0),
            (head + body, 0.1),
            (head + body, 0.5),
        ):
            for _ in range(3):
                _sent_and_gone(server.address, content, seconds)
        with server.client.stream("POST", "/upscale", content=body, headers=_PNG) as answer:
            next(answer.iter_bytes(1000))
        answer = server.client.post("/upscale", content=PICTURES[0], headers=_PNG)
        if answer.content != made[0]:
            faults.append(f"afterwards: {answer.status_code}")
        _until(lambda: not _running(server))
    return faults


# -- what rows are made of -------------------------------------------------------------------------

_PNG = {"content-type": "image/png"}


def _under_load(folder: Path, made: list[bytes], fault: Callable[[Server], None]) -> list[str]:
    with _watched(folder) as (server, faults):
        job = _job(server)
        asking = _asking(server, 2, faults, made)
        for _ in range(3):
            _until(lambda: _running(server))
            fault(server)
            count = _made(server)  # a picture that is struck twice is one that kills workers
            _until(lambda count=count: _made(server) >= count + 2)
        asking.join()
        faults += _compared(server, job, made)
    return faults


@contextmanager
def _watched(folder: Path, full: bool = False) -> Iterator[tuple[Server, list[str]]]:
    """A server, and afterwards what it left."""
    faults: list[str] = []
    with serving(folder) as server:
        yield server, faults
        pids = list(tree(server.process.pid))
    faults += _left_running(pids)
    known = {"lock", "jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm"}
    for path in folder.rglob("*"):
        result = path.parent.name == "results" and not path.name.startswith(".")
        if path.is_file() and path.name not in known and not result:
            faults.append(f"left: {path.relative_to(folder)}")


def _left_running(pids: list[int]) -> list[str]:
    end = time.monotonic() + 10
    while any(_lives(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    return [f"process {pid} is left" for pid in pids if _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _job(server: Server) -> str:
    files = [("file", (f"{number}.png", each)) for number, each in enumerate(PICTURES)]
    return server.client.post("/jobs", files=files).json()["id"]


def _compared(server: Server, job: str, made: list[bytes]) -> list[str]:
    """Wait for a job's end; what is wrong with it."""
    while (document := server.client.get(f"/jobs/{job}").json())["state"] not in _ENDED:
        time.sleep(0.1)
    faults = []
    for number, content in enumerate(made, 1):
        answer = server.client.get(f"/jobs/{job}/result/{number}")
        if answer.content != content:
            problem = document["pictures"][number - 1]["problem"]
            faults.append(f"picture {number} of the job: {answer.status_code}, {problem}")
    return faults


def _asking(
    server: Server, rounds: int, faults: list[str], made: list[bytes] | None = None
) -> threading.Thread:
    """A client that wants all pictures, one after the other, while others do."""

    def ask() -> None:
        for _ in range(rounds):
            for number, content in enumerate(PICTURES):
                with contextlib.suppress(httpx.TransportError):
                    address = f"{server.address}/upscale"
                    answer = httpx.post(address, content=content, headers=_PNG, timeout=120)
                    if made is not None and answer.content != made[number]:
                        faults.append(f"request {number}: {answer.status_code} {answer.text[:90]}")

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def _sent_and_gone(address: str, content: bytes, seconds: float) -> None:
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(content)
        time.sleep(seconds)


def _running(server: Server) -> int:
    document = server.client.post("/plan", json={"width": 8, "height": 8}).json()
    return document["queue"]["running"] if "queue" in document else 0


def _made(server: Server) -> float:
    return sums(server.client.get("/metrics").text, "swin2sr_inference_seconds_count")


def _pids(server: Server, module: str) -> list[int]:
    return [pid for pid, name in server.children().items() if name.endswith(f".{module}")]


def _kill(server: Server, module: str, number: signal.Signals) -> None:
    for pid in _pids(server, module):
        os.kill(pid, number)


def _until(true: Callable[[], object]) -> None:
    while not true():
        time.sleep(0.02)


if __name__ == "__main__":
    main()
