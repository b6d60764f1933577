"""What a run tells the page, what is learnt of its time, and what a download tells."""

import contextlib
import hashlib
import http.server
import json
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch


@pytest.fixture
def timings(pack, monkeypatch, tmp_path):
    """The module, with a user folder of its own."""
    monkeypatch.setattr(pack("nodes.host"), "user_folder", lambda: tmp_path)
    return pack("nodes.timings")


def runs(told):
    return [data for event, data, _ in told if event == "swin2sr.run"]


# -- a run ---------------------------------------------------------------------------------------


def test_start_progress_report(told, timings, upscale, compact, make_picture):
    image, report = upscale(make_picture(64, 96, batch=2), compact)
    first, *middle, last = runs(told)
    assert (first["kind"], last["kind"]) == ("start", "done")
    assert {each["kind"] for each in middle} == {"progress"}
    fractions = [each["fraction"] for each in middle]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert first["input"] == [96, 64]
    assert first["output"] == last["output"] == [384, 256] == [*image.shape[2:0:-1]]
    assert last["text"] == report
    assert last["forecast_bytes"] > 0
    assert (last["fallbacks"], last["used_strategy"]) == ([], "whole")
    assert {client for *_, client in told} == {"page"}
    assert json.loads(json.dumps(runs(told))) == runs(told)


def test_wrapped_edges_are_no_part_of_the_size(told, timings, upscale, compact, make_picture):
    upscale(make_picture(24, 40), compact, edge="wrap", scale=2.0)
    assert runs(told)[0]["input"] == [40, 24]
    assert runs(told)[0]["output"] == [80, 48]


def test_messages_are_few(told, timings, upscale, compact, make_picture):
    """However many bands there are: a page must not drown in messages."""
    upscale(make_picture(64, 64), compact, max_memory=0.004)
    steps = [each for each in runs(told) if each["kind"] == "progress"]
    seconds = runs(told)[-1]["seconds"]
    assert len(steps) <= 3 + seconds / 0.15


def test_without_a_page_nothing_is_sent_and_all_works(timings, upscale, compact, make_picture):
    image, _ = upscale(make_picture(8, 8), compact)
    assert image.shape == (1, 32, 32, 3)


def test_without_a_client_nothing_is_sent(told, timings, upscale, compact, make_picture):
    sys.modules["server"].PromptServer.instance.client_id = None
    upscale(make_picture(8, 8), compact)
    assert told == []


# -- the picture ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(40, 56), (7, 3), (700, 1100), (1, 2000)])
def test_pieces_fill_the_picture_in(size, pack, make_picture):
    """Once all pieces are there, it is the finished picture; before, the rest is the input."""
    live, tiles, upscaling = (
        pack(name)
        for name in ("nodes.live", "swin2sr_core.planning.tiles", "swin2sr_core.engine.upscale")
    )
    height, width = size
    canvas = live.Canvas(make_picture(height, width).movedim(-1, 1))
    start = canvas.pixels.clone()
    assert max(canvas.pixels.shape[1:]) == min(512, 4 * max(size))
    finished = make_picture(4 * height, 4 * width, seed=1).movedim(-1, 1)
    rows, columns = canvas.pixels.shape[1:]
    half = 2 * width
    canvas.put(upscaling.Piece(0, 1, 1, finished, tiles.Box(0, 0, 4 * height, half)))
    middle = round(columns * half / (4 * width))
    assert torch.equal(canvas.pixels[:, :, middle + 1 :], start[:, :, middle + 1 :])
    canvas.put(upscaling.Piece(0, 1, 1, finished, tiles.Box(0, half, 4 * height, 4 * width)))
    picked_rows = [(2 * i + 1) * 4 * height // (2 * rows) for i in range(rows)]
    picked_columns = [(2 * i + 1) * 4 * width // (2 * columns) for i in range(columns)]
    picked = finished[0][:, picked_rows][:, :, picked_columns]
    assert torch.equal(canvas.pixels, (picked * 255).round().to(torch.uint8))


def test_grey_pictures_are_shown_too(pack, make_picture):
    canvas = pack("nodes.live").Canvas(make_picture(8, 8, channels=1).movedim(-1, 1))
    box = pack("swin2sr_core.planning.tiles").Box(0, 0, 8, 32)
    piece = pack("swin2sr_core.engine.upscale").Piece(0, 1, 1, torch.full((1, 1, 32, 32), 2.0), box)
    canvas.put(piece)
    assert canvas.pixels.shape == (3, 32, 32)
    assert bool((canvas.pixels[:, :8] == 255).all())
    assert not bool((canvas.pixels[:, 8:] == 255).any())


def test_the_preview_is_the_finished_picture_at_the_end(
    upscale, compact, make_picture, pack, bar_steps, monkeypatch
):
    monkeypatch.setattr(pack("nodes.host"), "_PREVIEW_SECONDS", 0)
    monkeypatch.setattr(pack("nodes.host"), "_BAR_SECONDS", 0)
    image, _ = upscale(make_picture(128, 128), compact)
    previews = [np.asarray(preview[1]).astype(int) for *_, preview in bar_steps if preview]
    finished = (image[0] * 255).round().numpy().astype(int)
    off = [np.abs(each - finished).mean() for each in previews]
    assert off[-1] == 0
    assert off[0] > 5
    between = [np.mean(each == finished) for each in previews]
    assert any(0.2 < part < 0.8 for part in between), "it fills in, piece by piece"


def test_steps_down_are_told_as_they_are_taken(
    told, timings, pack, upscale, compact, make_picture, monkeypatch
):
    """A device that runs out of memory once, half-way."""
    engine = pack("swin2sr_core.engine.passes")
    real, calls = engine.Pass.run, []

    def run(self, plan):
        calls.append(plan)
        if len(calls) == 1:
            raise RuntimeError(
                "DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes"
            )
        return real(self, plan)

    monkeypatch.setattr(engine.Pass, "run", run)
    _, report = upscale(make_picture(64, 64), compact)
    steps = [each["sentence"] for each in runs(told) if each["kind"] == "fallback"]
    assert len(steps) == 1
    assert steps == runs(told)[-1]["fallbacks"]
    assert steps[0] in report
    assert timings.version() == 0, "a run that did not go as planned teaches nothing"


# -- time ----------------------------------------------------------------------------------------


def kind(timings, **changes):
    return replace(timings.Kind("cpu", "fp32", "network", "whole"), **changes)


def test_nothing_is_claimed_before_the_first_run(timings):
    assert timings.estimate(kind(timings), 10**9) is None


def test_time_is_learnt_and_scales_with_the_work(timings):
    timings.learn(kind(timings), 10**12, 10.0)
    found = timings.estimate(kind(timings), 2 * 10**12)
    assert (found.seconds, found.same_kind) == (pytest.approx(20), True)


def test_the_nearest_runs_count(timings):
    for work, seconds in ((10**9, 1.0), (10**9, 1.0), (10**12, 100.0), (10**12, 100.0)):
        timings.learn(kind(timings), work, seconds)
    assert timings.estimate(kind(timings), 10**9).seconds == pytest.approx(1)
    assert timings.estimate(kind(timings), 10**12).seconds == pytest.approx(100)


def test_another_strategy_is_a_rough_guess_and_another_network_none(timings):
    timings.learn(kind(timings), 10**12, 10.0)
    assert not timings.estimate(kind(timings, strategy="staged"), 10**12).same_kind
    for other in ({"network": "other"}, {"device": "gpu"}, {"precision": "bf16"}):
        assert timings.estimate(kind(timings, **other), 10**12) is None


def test_old_runs_are_forgotten(timings):
    for _ in range(12):
        timings.learn(kind(timings), 10**12, 100.0)
    for _ in range(12):
        timings.learn(kind(timings), 10**12, 10.0)
    assert timings.estimate(kind(timings), 10**12).seconds == pytest.approx(10)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"runs": 5}', '{"runs": {"a": [["x", 1]]}}'])
def test_a_damaged_memory_is_started_anew(content, timings, tmp_path):
    (tmp_path / "swin2sr").mkdir()
    (tmp_path / "swin2sr" / "timings.json").write_text(content)
    assert timings.estimate(kind(timings), 10**9) is None
    timings.learn(kind(timings), 10**12, 10.0)
    assert timings.estimate(kind(timings), 10**12) is not None


def test_a_folder_that_cannot_be_written_disturbs_nobody(timings, tmp_path, monkeypatch, pack):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(pack("nodes.host"), "user_folder", lambda: tmp_path / "file")
    timings.learn(kind(timings), 10**12, 10.0)
    assert timings.estimate(kind(timings), 10**12) is None


def test_a_run_teaches_the_plan(told, timings, pack, upscale, compact, make_picture, monkeypatch):
    monkeypatch.setattr(timings, "_SHORTEST", 0)
    upscale(make_picture(64, 64), compact)
    forecast = pack("nodes.plan_answer")
    question = {"width": "64", "height": "64", "precision": "fp32"}
    (row,) = forecast.answer(forecast.Question.parse(question))["rows"]
    assert row["seconds"] is not None
    assert not row["seconds_are_rough"]
    upscale(make_picture(64, 64), compact)
    assert runs(told)[-1]["expected_seconds"] is not None


# -- downloads -----------------------------------------------------------------------------------


@pytest.fixture
def entry(pack, tmp_path, monkeypatch):
    """An entry of the catalog whose file a server in this process has; (changes) -> entry."""
    content = bytes(range(256)) * 4000

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the one who asked may have stopped
                for start in range(0, len(content), 100_000):
                    self.wfile.write(content[start : start + 100_000])
                    if not go_on.wait(10):
                        return

        def log_message(self, *_args):
            pass

    go_on = threading.Event()
    go_on.set()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(pack("nodes.host"), "download_folder", lambda: tmp_path / "models")
    monkeypatch.setattr(pack("nodes.downloads"), "_TELL_SECONDS", 0)
    made = replace(
        pack("swin2sr_core.models.catalog").find_entry("classical-x2"),
        url=f"http://127.0.0.1:{server.server_port}/file",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    yield lambda **changes: replace(made, **changes), go_on
    go_on.set()
    server.shutdown()
    server.server_close()


def states(told):
    return [data for event, data, _ in told if event == "swin2sr.download"]


def test_a_download_tells_every_page_how_it_goes(told, pack, entry):
    make, _ = entry
    path = pack("nodes.downloads").fetch(make())
    assert path.stat().st_size == 1_024_000
    phases = [state["phase"] for state in states(told)]
    assert (phases[0], phases[-2], phases[-1]) == ("running", "checking", "done")
    assert states(told)[-1]["checked"] == "catalog"
    assert states(told)[-1]["done"] == states(told)[-1]["total"] == 1_024_000
    assert {client for *_, client in told} == {None}, "every page shows the model"


def test_an_unpublished_checksum_is_said_to_be(told, pack, entry):
    make, _ = entry
    pack("nodes.downloads").fetch(make(sha256=None))
    assert states(told)[-1]["checked"] == "record"


def test_a_wrong_checksum_and_no_network_are_sentences(told, pack, entry):
    make, _ = entry
    downloads, errors = pack("nodes.downloads"), pack("swin2sr_core.errors")
    for changes, words in (
        ({"sha256": "0" * 64}, "sha256"),
        ({"url": "http://127.0.0.1:1/x"}, "put"),
    ):
        with pytest.raises(errors.DownloadError):
            downloads.fetch(make(**changes))
        assert states(told)[-1]["phase"] == "failed"
        assert words in states(told)[-1]["message"]


def test_the_buttons_start_one_and_stop_it(told, pack, entry):
    make, go_on = entry
    downloads = pack("nodes.downloads")
    go_on.clear()
    assert downloads.start(make())
    assert not downloads.start(make()), "one is enough"
    assert downloads.stop("classical-x2")
    wait_for_downloads()
    assert downloads.state_of("classical-x2")["phase"] == "stopped"
    assert not downloads.stop("classical-x2")
    go_on.set()
    assert downloads.start(make())
    wait_for_downloads()
    assert downloads.state_of("classical-x2")["phase"] == "done"


def wait_for_downloads():
    for thread in threading.enumerate():
        if thread.name.startswith("swin2sr-download"):
            thread.join(20)
