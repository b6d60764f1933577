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

LONG = {"image": encoded(noise(224, 224))}
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


def held(server):
    """Pictures that workers have, those that are read ahead as well."""
    return metric(server, "swin2sr_running")


def metric(server, name):
    lines = server.client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def in_background(server, files=LONG):
    answers = []

    def post():
        with suppress(httpx.RemoteProtocolError):  # where the server is killed
            address = f"{server.address}/upscale"
            answers.append(httpx.post(address, files=files, timeout=60))

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
    assert Image.open(io.BytesIO(answers[0].content)).size == (896, 896)
    assert workers(own) != [first]


def test_a_poison_picture_costs_two_workers_and_who_was_beside_it_nothing(own):
    poison, answers = in_background(own, {"image": encoded(noise(224, 224, 1))})
    until(lambda: held(own) == 1)
    innocent, others = in_background(own, {"image": encoded(noise(24, 16, 2))})
    until(lambda: held(own) == 2)
    restarts, dead = metric(own, "swin2sr_worker_restarts_total"), workers(own)
    os.kill(dead[0], signal.SIGKILL)
    until(lambda: held(own) == 1 and workers(own) not in ([], dead))
    os.kill(workers(own)[0], signal.SIGKILL)
    for thread in (poison, innocent):
        thread.join()
    assert (answers[0].status_code, answers[0].json()["type"]) == (500, "urn:swin2sr:worker-died")
    assert others[0].status_code == 200
    again = own.client.post("/upscale", files={"image": encoded(noise(224, 224, 1))})
    assert (again.status_code, again.json()["type"]) == (500, "urn:swin2sr:poison")
    assert metric(own, "swin2sr_worker_restarts_total") == restarts + 2


def test_a_worker_that_does_not_stop_is_killed(own, png):
    (stuck,) = workers(own)
    job = own.client.post("/jobs", files=LONG).json()["id"]
    until(lambda: held(own))
    os.kill(stuck, signal.SIGSTOP)
    own.client.delete(f"/jobs/{job}")
    until(lambda: own.client.get(f"/jobs/{job}").json()["state"] == "cancelled")
    until(lambda: workers(own) not in ([], [stuck]))
    assert own.client.post("/upscale", files={"image": png}).status_code == 200
    assert not alive(stuck)


def test_a_worker_that_dies_idle_costs_nobody_anything(own, png):
    (idle,) = workers(own)
    os.kill(idle, signal.SIGKILL)
    until(lambda: workers(own) not in ([], [idle]))
    assert own.client.post("/upscale", files={"image": png}).status_code == 200


def test_nobody_waits_so_the_worker_stops(own, png):
    (before,) = workers(own)
    cancels = metric(own, "swin2sr_cancels_total")
    with pytest.raises(httpx.TimeoutException):
        httpx.post(f"{own.address}/upscale", files=LONG, timeout=0.5)
    until(lambda: not running(own))
    assert metric(own, "swin2sr_cancels_total") == cancels + 1
    assert own.client.post("/upscale", files={"image": png}).status_code == 200
    assert workers(own) == [before]
    assert not list((own.spool / "uploads").iterdir())


def test_the_gate_comes_back(own, png):
    (gate,) = [pid for pid, module in own.children().items() if module.endswith("gate_process")]
    os.kill(gate, signal.SIGKILL)
    assert own.client.post("/plan", files={"image": png}).status_code == 200


def test_the_app_is_killed_and_no_process_stays(own):
    thread, _ = in_background(own)
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


def test_the_spare_takes_the_place_of_the_dead(tmp_path, png):
    with serving(tmp_path, spare=True) as server:
        until(lambda: len(workers(server)) == 2)
        dead, spare = workers(server)
        os.kill(dead, signal.SIGKILL)
        assert server.client.post("/upscale", files={"image": png}).status_code == 200
        until(lambda: len(workers(server)) == 2)
        assert spare in workers(server) and dead not in workers(server)
        (new,) = set(workers(server)) - {spare}
        os.kill(new, signal.SIGKILL)  # idle and with nothing loaded: the next one is started
        os.kill(spare, signal.SIGKILL)
        assert server.client.post("/upscale", files={"image": png}).status_code == 200


def test_told_to_stop_it_finishes_what_runs(tmp_path):
    with serving(tmp_path) as server:
        thread, answers = in_background(server)
        until(lambda: running(server))
        server.process.send_signal(signal.SIGINT)
        until(lambda: server.client.get("/readyz").status_code == 503)
        assert server.client.post("/upscale", files=LONG).status_code == 503
        children = server.children()
        thread.join()
        assert answers[0].status_code == 200
        assert server.process.wait() == 0
        assert not any(alive(pid) for pid in children)


def test_a_second_signal_cancels(tmp_path):
    with serving(tmp_path) as server:
        large = {"image": encoded(noise(900, 900))}
        job = server.client.post("/jobs", files=large).json()["id"]
        until(lambda: running(server))
        children = server.children()
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.client.get("/readyz").status_code == 503)
        assert running(server), "the first one lets it go on"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait() == 0
        until(lambda: not any(alive(pid) for pid in children))
    with sqlite3.connect(tmp_path / "jobs.sqlite") as base:
        states = base.execute("SELECT state, ended FROM jobs WHERE id = ?", (job,)).fetchall()
    assert states == [("running", None)], "the next process goes on with it"
