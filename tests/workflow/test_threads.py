"""Runs from several threads: each has its own picture, its own folder, its own end."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from swin2sr_headless import run_workflow
from swin2sr_headless.comfy_stub import lent

THREADS, ROUNDS = 8, 3


def test_eight_threads_never_see_each_others_pictures(inverted, tmp_path):
    def colour(number: int, turn: int) -> tuple[int, int, int]:
        return 10 * number, 40 * turn, 255 - 10 * number

    def picture(number: int, turn: int) -> str:
        path = tmp_path / f"{number}-{turn}.png"
        Image.new("RGB", (12, 8), colour(number, turn)).save(path)
        return str(path)

    def run(number: int) -> None:
        for turn in range(ROUNDS):
            out = tmp_path / "out" / str(number)
            report = run_workflow(inverted, inputs={"example.png": picture(number, turn)}, out=out)
            assert report.ok, report
            (file,) = report.files
            assert file.parent == out / "made"
            wanted = tuple(255 - value for value in colour(number, turn))
            assert np.abs(np.array(Image.open(file)).astype(int) - wanted).max() <= 1

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, range(THREADS)))
    assert len(list((tmp_path / "out").rglob("*.png"))) == THREADS * ROUNDS


def test_who_waits_for_a_turn_still_has_a_time_limit(inverted, make_picture, tmp_path):
    """While another run has the stand-in, the time of this one goes on."""
    inputs = {"example.png": make_picture()}
    assert run_workflow(inverted, inputs=inputs, out=tmp_path / "first").ok
    entered, leave = threading.Event(), threading.Event()

    def occupy() -> None:
        with lent():
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=occupy)
    thread.start()
    try:
        assert entered.wait(30)
        report = run_workflow(inverted, inputs=inputs, out=tmp_path / "second", timeout=0.3)
        assert report.status == "timeout"
    finally:
        leave.set()
        thread.join()
    assert run_workflow(inverted, inputs=inputs, out=tmp_path / "second").ok
