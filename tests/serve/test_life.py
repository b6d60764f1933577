"""What dies is replaced, what nobody waits for stops, and what ends leaves nothing behind."""

import io
import os
import signal
import sqlite3
import sys
import threading
import time
from contextlib import suppress

import httpx
import pytest
from http_service import encoded, noise, serving
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and ps as on Linux")

LONG = {"image": encoded(noise(320, 320))}
WORKER = "swin2sr_headless.service.worker"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A server of this file's own, for it is not spared."""
    with serving(tmp_path_factory.mktemp("spool")) as made:
        yield made


def running(server):
    return server.client.post("/plan", json={"width": 8, "height": 8}).json()["queue"]["running"]


def until(true):
    """Wait for what has to come; the test's own limit of time ends a wait for what does not."""
    while not true():
        time.sleep(0.02)


def workers(server):
    return [pid for pid, module in server.children().items() if module == WORKER]


def in_background(server, **fields):
    answers = []

    def post():
        with suppress(httpx.RemoteProtocolError):  # where the server is killed
            address = f"{server.address}/upscale"
            answers.append(httpx.post(address, files=LONG, data=fields, timeout=60))

    thread = threading.Thread(target=post)
    thread.start()
    return thread, answers


def test_a_picture_whose_worker_died_is_made_once_more(own):
    thread, answers = in_background(own)
    until(lambda: running(own))
    (first,) = workers(own)
    os.kill(first, signal.SIGKILL)
    thread.join()
    assert answers[0].status_code == 200
    assert Image.open(io.BytesIO(answers[0].content)).size == (1280, 1280)
    assert workers(own) != [first]


def test_a_worker_that_dies_idle_costs_nobody_anything(own, png):
    (idle,) = workers(own)
    os.kill(idle, signal.SIGKILL)
    until(lambda: workers(own) not in ([], [idle]))
    assert own.client.post("/upscale", files={"image": png}).status_code == 200


def test_nobody_waits_so_the_worker_stops(own, png):
    (before,) = workers(own)
    with pytest.raises(httpx.TimeoutException):
        httpx.post(f"{own.address}/upscale", files=LONG, timeout=0.5)
    until(lambda: not running(own))
    assert "swin2sr_cancels_total 1.0" in own.client.get("/metrics").text
    assert own.client.post("/upscale", files={"image": png}).status_code == 200
    assert workers(own) == [before]
    assert not list((own.spool / "uploads").iterdir())


def test_the_gate_comes_back(own, png):
    (gate,) = [pid for pid, module in own.children().items() if module.endswith("gate_process")]
    os.kill(gate, signal.SIGKILL)
    assert own.client.post("/plan", files={"image": png}).status_code == 200


def test_the_app_is_killed_and_no_process_stays(own):
    thread, _ = in_background(own, timeout="60")
    until(lambda: running(own))
    children = own.children()
    own.process.kill()
    own.process.wait()
    until(lambda: not any(alive(pid) for pid in children))
    thread.join()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_told_to_stop_it_finishes_what_runs(tmp_path):
    with serving(tmp_path) as server:
        thread, answers = in_background(server)
        until(lambda: running(server))
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.client.get("/readyz").status_code == 503)
        assert server.client.post("/upscale", files=LONG).status_code == 503
        children = server.children()
        thread.join()
        assert answers[0].status_code == 200
        assert server.process.wait() == 0
        assert not any(alive(pid) for pid in children)


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_cancels(tmp_path, first):
    with serving(tmp_path) as server:
        large = {"image": encoded(noise(900, 900))}
        job = server.client.post("/jobs", files=large).json()["id"]
        until(lambda: running(server))
        children = server.children()
        server.process.send_signal(first)
        until(lambda: server.client.get("/readyz").status_code == 503)
        assert running(server), "the first one lets it go on"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 0
        until(lambda: not any(alive(pid) for pid in children))
    with sqlite3.connect(tmp_path / "jobs.sqlite") as base:
        states = base.execute("SELECT state, ended FROM jobs WHERE id = ?", (job,)).fetchall()
    assert states == [("running", None)], "the next process goes on with it"
