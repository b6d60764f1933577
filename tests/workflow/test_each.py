"""A workflow for each picture of a folder: names, the journal, and processes that are killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from swin2sr_headless.workflow.each import EachJob, run_each
from swin2sr_headless.workflow.journal import NAME, WORK, Journal, version
from swin2sr_headless.workflow.problems import WorkflowError

from .conftest import ROOT

THOROUGH = bool(os.environ.get("SWIN2SR_THOROUGH_TESTS"))
"""Then as many pictures and kills as were promised: minutes instead of seconds."""


@pytest.fixture
def pictures(make_picture, tmp_path):
    """(count) -> a folder with so many pictures."""

    def make(count: int) -> Path:
        folder = tmp_path / "pictures"
        folder.mkdir()
        for seed in range(count):
            make_picture(f"p{seed:03}.png", 16, 16, "RGB", seed, folder)
        return folder

    return make


@pytest.fixture
def each(swin2sr_session, inverted, tmp_path):
    """(pictures, **changes) -> the report of the small workflow for each of them."""

    def run(folder, workflow=inverted, out=tmp_path / "out", **changes):
        job = EachJob(workflow, folder, out, **changes)
        return run_each(swin2sr_session, job)

    return run


def told(report) -> str:
    return str(report.errors[0])


def entries(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / NAME).read_text().splitlines()]


def test_outputs_are_named_after_their_pictures(each, pictures, tmp_path):
    report = each(pictures(3))
    assert (report.status, report.made) == ("done", ["p000.png", "p001.png", "p002.png"])
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "p000.png", "p001.png", "p002.png", NAME,
    ]  # fmt: skip
    again = each(tmp_path / "pictures")
    assert (again.made, len(again.kept)) == ([], 3)


def test_pictures_whose_names_would_clash(each, pictures, make_picture, tmp_path):
    folder = pictures(1)
    make_picture("p000.jpg", 8, 8, "RGB", folder=folder)
    assert each(folder).status == "done"
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert names == {"p000.png.png", "p000.jpg.png"}


def test_several_outputs_of_a_picture_are_numbered(each, inverted, pictures, tmp_path):
    inverted["4"] = {
        "class_type": "SaveImage",
        "inputs": {"images": ["1", 0], "filename_prefix": "same"},
    }
    assert each(pictures(1), inverted).status == "done"
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert names == {"p000_01.png", "p000_02.png"}


def test_the_model_stays_loaded(swin2sr_session, upscaled, pictures, tmp_path, monkeypatch):
    reports = []
    run = swin2sr_session.run_prepared
    monkeypatch.setattr(
        swin2sr_session, "run_prepared", lambda *a: reports.append(run(*a)) or reports[-1]
    )
    run_each(swin2sr_session, EachJob(upscaled, pictures(3), tmp_path / "out"))
    assert [report.ran for report in reports[1:]] == [{"1", "3", "4"}] * 2
    assert [report.cached for report in reports[1:]] == [{"2"}] * 2


def test_what_fails_does_not_stop_the_others(each, pictures, tmp_path):
    folder = pictures(3)
    (folder / "p001.png").write_text("no picture")
    report = each(folder)
    assert (report.status, report.exit_code) == ("failed", 1)
    assert report.made == ["p000.png", "p002.png"]
    assert "p001.png" in report.failed
    assert report.summary.startswith("2 of 3 pictures made, 1 failed")
    (folder / "p000.png").replace(folder / "p001.png")
    again = each(folder)
    assert (again.made, again.kept) == (["p001.png"], ["p002.png"])


def test_changed_and_missing_ones_are_made_again(each, pictures, make_picture, tmp_path):
    folder = pictures(3)
    each(folder)
    make_picture("p001.png", 20, 20, "RGB", folder=folder)
    (tmp_path / "out" / "p002.png").unlink()
    report = each(folder)
    assert (report.made, report.kept) == (["p001.png", "p002.png"], ["p000.png"])
    with Image.open(tmp_path / "out" / "p001.png") as image:
        assert image.size == (20, 20)


def test_which_input_the_pictures_are(each, inverted, pictures, make_picture):
    folder = pictures(1)
    inverted["5"] = {"class_type": "LoadImage", "inputs": {"image": "other.png"}}
    inverted["2"] = {
        "class_type": "ImageBatch",
        "inputs": {"image1": ["1", 0], "image2": ["5", 0]},
    }
    report = each(folder, inverted)
    assert report.status == "refused"
    assert "several inputs: example.png, other.png; say which with --each-as" in str(
        report.errors[0]
    )
    other = make_picture("other.png")
    assert each(folder, inverted, inputs={"other.png": other}).status == "done"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("way", ["same", "dotted", "linked", "link in it", "with an input"])
def test_outputs_never_take_the_place_of_inputs(way, each, inverted, pictures, tmp_path):
    folder = pictures(2)
    before = contents(folder)
    changes, out = {}, folder
    if way == "dotted":
        out = folder / ".." / "pictures"
    elif way == "linked":
        out = tmp_path / "link"
        out.symlink_to(folder)
    elif way == "link in it":
        out = folder
        changes["pictures"] = tmp_path / "links"
        changes["pictures"].mkdir()
        (changes["pictures"] / "a.png").symlink_to(folder / "p000.png")
    elif way == "with an input":
        inverted["5"] = {"class_type": "LoadImage", "inputs": {"image": "other.png"}}
        inverted["2"] = {
            "class_type": "ImageBatch",
            "inputs": {"image1": ["1", 0], "image2": ["5", 0]},
        }
        out = tmp_path / "apart"
        out.mkdir()
        (folder / "p001.png").rename(out / "p001.png")
        changes["inputs"] = {"other.png": out / "p001.png"}
    report = each(changes.pop("pictures", folder), inverted, out=out, **changes)
    assert (report.status, report.exit_code) == ("refused", 2)
    assert "which an output could replace; choose another --out" in told(report)
    if way != "with an input":
        assert contents(folder) == before


def test_files_that_the_journal_does_not_know_stay(each, pictures, make_picture, tmp_path):
    folder, out = pictures(2), tmp_path / "out"
    out.mkdir()
    (out / "p001.png").write_bytes(b"somebody's")
    report = each(folder)
    assert report.status == "refused"
    assert "p001.png would be replaced, and the journal does not know it" in told(report)
    assert not (out / "p000.png").exists()  # nothing has run
    (out / "p001.png").unlink()
    assert each(folder).status == "done"
    (out / "p000.png").write_bytes(b"edited by somebody")  # since it was made
    make_picture("p000.png", 9, 9, "RGB", folder=folder)
    assert each(folder).status == "refused"
    assert (out / "p000.png").read_bytes() == b"edited by somebody"


def test_an_output_of_another_kind_in_the_way_fails_that_picture_alone(
    each, inverted, pictures, tmp_path
):
    """How many outputs there are is known when a picture is made."""
    inverted["4"] = {**inverted["3"], "inputs": {"images": ["1", 0], "filename_prefix": "x"}}
    folder, out = pictures(2), tmp_path / "out"
    out.mkdir()
    (out / "p000_02.png").write_bytes(b"somebody's")
    report = each(folder, inverted)
    assert (report.status, report.made) == ("failed", ["p001.png"])
    assert "p000_02.png would be replaced" in report.failed["p000.png"]
    assert (out / "p000_02.png").read_bytes() == b"somebody's"


def test_folders_below_are_told_or_taken(each, pictures, make_picture, tmp_path):
    folder = pictures(1)
    (folder / "deep").mkdir()
    make_picture("p000.png", 8, 8, "RGB", folder=folder / "deep")
    (folder / "film.mp4").write_bytes(b"")
    report = each(folder)
    assert report.made == ["p000.png"]
    assert [notice.rpartition("pictures/")[2] for notice in report.notices] == [
        "deep was passed over; --recursive takes it",
        "film.mp4 was left out",
    ]
    assert each(folder, recursive=True).made == ["deep/p000.png"]
    assert (tmp_path / "out" / "deep" / "p000.png").is_file()
    report = each(folder, recursive=True, out=folder / "results")
    assert "lies among the inputs" in told(report)


def test_a_journal_of_something_else(each, pictures):
    folder = pictures(1)
    each(folder)
    report = each(folder, values={"3.filename_prefix": "y"})
    assert report.status == "refused"
    assert "is of another workflow, or of other values; delete it to start anew" in str(
        report.errors[0]
    )


def test_a_damaged_journal(each, pictures, tmp_path):
    folder = pictures(1)
    each(folder)
    path = tmp_path / "out" / NAME
    path.write_bytes(path.read_bytes().replace(b'"begin"', b"begin", 1))
    assert "line 2 of the journal" in told(each(folder))


def test_two_at_once(each, pictures, tmp_path):
    from swin2sr_core.models.lock import held

    folder, out = pictures(1), tmp_path / "out"
    out.mkdir()
    with held(out / f".{NAME}.lock", lambda: None):
        report = each(folder)
    assert "another run is at work" in told(report)


@pytest.mark.parametrize("torn", [b'{"begin": "p0', b'{"made": "a", "so', b"\x00\x00"])
def test_a_torn_last_line_is_dropped(torn, tmp_path, make_picture):
    source = make_picture()
    journal = Journal(tmp_path, "w")
    journal.begin("a")
    journal.close()
    with (tmp_path / NAME).open("ab") as file:
        file.write(torn)
    journal = Journal(tmp_path, "w")
    journal.begin("b")
    journal.close()
    assert [entry for entry in entries(tmp_path) if "begin" in entry] == [
        {"begin": "a"},
        {"begin": "b"},
    ]
    assert not journal.is_made("a", source)


def test_files_get_their_names_after_a_kill_in_between(tmp_path, make_picture, monkeypatch):
    source = make_picture()
    journal = Journal(tmp_path, "w")
    work = journal.work_folder("a")
    work.mkdir(parents=True)
    (work / "x.png").write_bytes(b"made")
    monkeypatch.setattr(Journal, "_name_files", lambda *_: None)  # killed right before it
    journal.finish("a", version(source), {work / "x.png": "a.png"})
    journal.close()
    monkeypatch.undo()
    assert not (tmp_path / "a.png").exists()
    journal = Journal(tmp_path, "w")
    assert (tmp_path / "a.png").read_bytes() == b"made"
    assert journal.is_made("a", source)
    assert not (tmp_path / WORK).exists()
    journal.close()
    with pytest.raises(WorkflowError, match="another workflow"):
        Journal(tmp_path, "other")


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal there")
def test_ctrl_c_ends_it_with_a_report_and_it_goes_on_later(pictures, upscaled, write, tmp_path):
    folder, out = pictures(60), tmp_path / "out"  # so many that the signal comes in the middle
    write(upscaled)
    command = [sys.executable, "-m", "swin2sr_core", "run", "workflow.json", "--each", str(folder)]
    process = subprocess.Popen(
        [*command, "--out", str(out), "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    while not (out / NAME).exists() or len(entries(out)) < 3:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    document = json.loads(process.communicate()[0])
    assert (process.returncode, document["status"]) == (130, "interrupted")
    assert 1 <= len(document["made"]) < 60
    assert {path.name for path in out.iterdir()} == {*document["made"], NAME}
    done = subprocess.run(
        [*command, "--out", str(out)], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0
    assert len(list(out.glob("*.png"))) == 60


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL there")
def test_killed_again_and_again_everything_is_made_once(pictures, upscaled, write, tmp_path):
    """Kills at moments drawn by chance, once work has begun; nothing made is made again."""
    count, kills = (200, 5) if THOROUGH else (10, 1)
    folder, out, rng = pictures(count), tmp_path / "out", random.Random(count)
    write(upscaled)
    command = [sys.executable, "-m", "swin2sr_core", "run", "workflow.json", "--each", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def start() -> subprocess.Popen:
        return subprocess.Popen([*command, "--out", str(out)], cwd=tmp_path, env=environment)

    def lines() -> int:
        return len((out / NAME).read_bytes().splitlines()) if (out / NAME).exists() else 0

    killed = 0
    while killed < kills:
        process, before = start(), lines()
        goal = before + rng.randint(2, 2 * count // (kills + 1))
        while lines() < goal and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert start().wait() == 0
    begun = Counter(entry["begin"] for entry in entries(out) if "begin" in entry)
    made = Counter(entry["made"] for entry in entries(out) if "made" in entry)
    assert set(made.values()) == {1}
    assert len(made) == count
    assert max(begun.values()) <= 2
    assert sum(begun.values()) - count <= kills
    names = {path.name for path in out.iterdir()}
    assert names == {*(path.name for path in folder.iterdir()), NAME}
    for path in out.glob("*.png"):
        with Image.open(path) as image:
            image.load()
            assert image.size == (64, 64)


def test_a_changed_second_input_makes_everything_again(
    each, inverted, make_picture, pictures, tmp_path
):
    """The journal is of other values then: what was made with them is not kept."""
    inverted["4"] = {"class_type": "LoadImage", "inputs": {"image": "other.png"}}
    inverted["5"] = {
        "class_type": "ImageBatch",
        "inputs": {"image1": ["2", 0], "image2": ["4", 0]},
    }
    inverted["3"]["inputs"]["images"] = ["5", 0]
    folder = pictures(1)
    other = make_picture("other.png", 16, 16, "RGB", 7)
    changes = {"inputs": {"other.png": other}, "each_as": "example.png"}
    assert each(folder, inverted, **changes).status == "done"
    assert each(folder, inverted, **changes).kept == ["p000.png"]
    make_picture("other.png", 16, 16, "RGB", 8)
    again = each(folder, inverted, **changes)
    assert (again.status, again.kept) == ("refused", [])
    assert "of another workflow, or of other values" in str(again.errors[0])
