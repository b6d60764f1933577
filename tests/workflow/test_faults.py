"""A real server behind a proxy that cuts, delays, asks for credentials, and a server that restarts.

Needs COMFYUI_DIR, and a Python that runs that ComfyUI: this one, or SWIN2SR_COMFYUI_PYTHON.
"""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from swin2sr_headless import Session, make_host, run_workflow
from swin2sr_headless.workflow.hosts.private_server import PrivateServer
from swin2sr_headless.workflow.hosts.prompt_run import UPLOADS

from .conftest import ROOT


class Proxy:
    """Passes connections on to a server; `cut` drops them, `delay` slows them, `wants` refuses."""

    def __init__(self, port: int) -> None:
        self.port, self.delay, self.wants, self.heads = port, 0.0, b"", []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self) -> None:
        """Refuse new connections and end those there are, until `cut` is false again."""
        self.cut = True
        for each in self._open:
            each.close()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.append(client)
        head = b""
        try:
            while b"\r\n\r\n" not in head and (block := client.recv(65536)):
                head += block
            self.heads.append(head)
            if self.cut or not head:
                client.close()
                return
            if self.wants not in head:
                client.sendall(b"HTTP/1.1 401 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                client.close()
                return
            time.sleep(self.delay)
            server = socket.create_connection(("127.0.0.1", self.port))
            self._open.append(server)
            server.sendall(head)
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
            self._pass_on(server, client)
        except OSError:
            client.close()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while block := source.recv(65536):
                target.sendall(block)
        except OSError:
            pass
        for each in (source, target):
            each.close()


@pytest.fixture(scope="module")
def server(comfyui):
    """A real server, on a port of its own."""
    made = PrivateServer(comfyui)
    try:
        made.wait()
        yield made
    finally:
        made.close()


@pytest.fixture
def proxy(server):
    made = Proxy(server.port)
    yield made
    made.close()


@pytest.fixture
def work(upscaled, make_picture, tmp_path):
    """(side) -> arguments of a run that takes a few seconds for a side of some hundreds."""

    def make(side=400, seed=0) -> dict:
        picture = make_picture(f"p{seed}.png", side, side, "RGB", seed)
        return {"workflow": upscaled, "inputs": {"example.png": picture}, "out": tmp_path / "out"}

    return make


def when_it_works(server: PrivateServer, action) -> threading.Thread:
    """Do something as soon as the server has a prompt to work on."""
    from swin2sr_headless.workflow.hosts.address import Address
    from swin2sr_headless.workflow.hosts.http_client import Client

    def wait() -> None:
        client = Client(Address(server.url))
        while not client.get("/queue")["queue_running"]:
            time.sleep(0.02)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_connection_that_is_lost_for_seconds(server, proxy, work):
    def lose() -> None:
        proxy.drop()
        time.sleep(3)
        proxy.cut = False

    thread = when_it_works(server, lose)
    report = run_workflow(server=f"http://{proxy.address}", timeout=120, **work(500, 1))
    thread.join()
    assert report.ok, report
    assert report.prompt_id


def test_a_slow_connection(proxy, work):
    proxy.delay = 0.3
    assert run_workflow(server=proxy.address, timeout=120, **work(16, 2)).ok


def test_time_that_runs_out_while_the_connection_is_lost_and_a_run_that_is_resumed(
    server, proxy, work, tmp_path
):
    def lose() -> None:
        proxy.drop()

    thread = when_it_works(server, lose)
    report = run_workflow(server=proxy.address, timeout=15, **work(500, 3))
    thread.join()
    assert (report.status, report.exit_code) == ("timeout", 124)
    assert report.prompt_id
    proxy.cut = False  # what could not be stopped goes on there
    with Session(make_host(server=proxy.address)) as session:
        resumed = session.resume(report.prompt_id, out=tmp_path / "later", timeout=120)
    assert resumed.ok, resumed
    assert (resumed.prompt_id, len(resumed.files)) == (report.prompt_id, 1)
    unknown = Session(make_host(server=proxy.address)).resume("no-such-id", out=tmp_path / "later")
    assert unknown.status == "no_host"
    assert "does not know the prompt no-such-id" in str(unknown.errors[0])


def test_credentials_are_asked_for(proxy, work, capfd):
    token = base64.b64encode(b"me:s3cret").decode()
    proxy.wants = b"Authorization: Basic " + token.encode()
    refused = run_workflow(server=f"http://{proxy.address}", **work(16, 4))
    assert refused.status == "no_host"
    assert "asks who you are (HTTP 401); give user:password" in str(refused.errors[0])
    wrong = run_workflow(server=f"http://me:wr0ng@{proxy.address}", **work(16, 4))
    good = run_workflow(server=f"http://me:s3cret@{proxy.address}/?tok=t0k", **work(16, 4))
    assert good.ok, good
    assert all(b"tok=t0k" in head.partition(b"\r\n")[0] for head in proxy.heads[-5:])
    reports = [report.to_dict() for report in (refused, wrong, good)]
    told = json.dumps(reports) + "".join(capfd.readouterr())
    for secret in ("wr0ng", "s3cret", "t0k", token):
        assert secret not in told


def test_headers_of_ones_own(proxy, work):
    proxy.wants = b"X-Door: open"
    with Session(make_host(server=proxy.address, headers=["X-Door: open"])) as session:
        assert session.run(**work(16, 5)).ok


def test_inputs_are_found_again(server, proxy, work):
    folder = server.base / "input" / UPLOADS
    before = set(folder.iterdir()) if folder.is_dir() else set()
    for _ in range(3):
        assert run_workflow(server=proxy.address, **work(16, 6)).ok
    assert len(set(folder.iterdir()) - before) == 1
    sent = [head for head in proxy.heads if head.startswith(b"POST /upload")]
    assert len(sent) == 1


def test_what_is_gone_can_be_made_again(server, proxy, work):
    job = work(16, 7)
    with Session(make_host(server=proxy.address)) as session:
        assert session.run(**job).ok
        for path in (server.base / "output").rglob("*.png"):
            path.unlink()
        gone = session.run(**job)
        assert gone.status == "failed"
        assert "is gone since" in str(gone.errors[0])
        assert "--rerun makes it again" in str(gone.errors[0])
        again = session.run(rerun=True, **job)
    assert again.ok, again
    assert again.ran == {"1", "2", "3", "4"}


def test_events_are_lines_while_it_runs(server, work, swin2sr, write, upscaled):
    job = work(64, 8)
    write(upscaled)
    (name, path) = next(iter(job["inputs"].items()))
    done = swin2sr("run", "workflow.json", "--input", f"{name}={path}", "--server", server.url,
                   "--json", "lines")  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert lines[0]["event"] == "queued"
    assert (lines[-1]["event"], lines[-1]["status"]) == ("report", "done")
    assert lines[-1]["prompt_id"] == lines[0]["prompt_id"]


def test_a_server_that_restarts_does_not_know_the_run(comfyui, work):
    made = PrivateServer(comfyui)
    proxy = Proxy(made.port)
    try:
        made.wait()

        def restart() -> None:
            nonlocal made
            made.close()
            made = PrivateServer(comfyui)
            made.wait()
            proxy.port = made.port

        thread = when_it_works(made, restart)
        report = run_workflow(server=proxy.address, timeout=300, **work(500, 9))
        thread.join()
    finally:
        made.close()
        proxy.close()
    assert report.status == "no_host"
    assert "does not know the workflow any more" in str(report.errors[0])
    assert report.prompt_id


PARENT = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup has ignored, where it runs the tests
from swin2sr_headless.workflow.hosts.private_server import PrivateServer
server = PrivateServer(Path(sys.argv[1]))
server.wait()
print(server.port, server.base, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals there")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGHUP", "SIGTERM"])
def test_a_private_server_ends_with_us(how, comfyui):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(comfyui)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    port, base = parent.stdout.readline().split()
    parent.send_signal(getattr(signal, how))
    parent.wait()
    deadline = time.monotonic() + 20
    while Path(base).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(base).exists()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(port)))
