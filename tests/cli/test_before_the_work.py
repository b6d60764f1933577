"""What is told before anything is computed: limits, room, places, options without effect; time."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from swin2sr_core.errors import InputError
from swin2sr_core.units import format_seconds
from swin2sr_headless.cli import survey


@pytest.fixture
def computed(monkeypatch):
    """The pictures that were computed."""
    from swin2sr_headless.cli.files import FileUpscaler

    names, plain = [], FileUpscaler.run

    def counted(self, target, label):
        names.append(target.source.name)
        return plain(self, target, label)

    monkeypatch.setattr(FileUpscaler, "run", counted)
    return names


def picture(path, width=24, height=16, channels=3):
    shape = (height, width, channels)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8)).save(path)
    return path


# -- limits of formats -------------------------------------------------------------------------


def test_what_a_format_cannot_hold_is_refused_before_computing(tmp_path, run, computed):
    wide = picture(tmp_path / "wide.png", 4200, 8)
    code, _, err = run("upscale", wide, "-f", "webp")
    assert code == 2 and "16383 pixels a side, got 16800 x 32; write a .tif" in err
    picture(tmp_path / "small.png")
    code, out, err = run("upscale", tmp_path, "-f", "webp", "--json")
    document = json.loads(out)
    assert code == 1 and [each["status"] for each in document["results"]] == ["ok", "error"]
    assert computed == ["small.png"]


# -- disks and places --------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 64 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    allowed = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount")
    if not allowed or subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("needs Linux, root, and the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_ends_the_batch_at_once(tmp_path, run, computed, tiny_disk):
    """The estimate lets them through; noise takes more."""
    for name in "abcd":
        picture(tmp_path / f"{name}.png", 32, 24)
    code, out, err = run("upscale", tmp_path / "*.png", "-o", tiny_disk, "--json")
    document = json.loads(out)
    assert code == 1 and "the disk is full" in err
    assert len(computed) < 4
    assert f"{4 - len(computed)} not begun" in document["error"]
    assert not list(tiny_disk.glob(".swin2sr*"))


def test_what_surely_does_not_fit_is_not_begun(tmp_path, run, computed, tiny_disk):
    source = picture(tmp_path / "a.png", 300, 300)
    code, _, err = run("upscale", source, "-o", tiny_disk)
    assert (code, computed) == (2, [])
    assert "64.0 KB free, and the outputs take about 1.03 MB" in err and "choose another -o" in err


def test_what_may_not_fit_is_told(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(survey.shutil, "disk_usage", lambda _path: usage._replace(free=1000))
    assert survey.check_space([(tmp_path / "new" / "a.png", 900)]) == []
    (notice,) = survey.check_space([(tmp_path / "a.png", 900), (tmp_path / "b.png", 900)])
    assert "they may not all fit" in notice
    with pytest.raises(InputError, match="1000 B free, and the outputs take about 2"):
        survey.check_space([(tmp_path / "a.png", 2500)])


def test_a_read_only_place_is_told_before_computing(tmp_path, run, computed):
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(place)]
    allowed = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount")
    if not allowed or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs Linux, root, and the right to mount a tmpfs")
    try:
        source = picture(tmp_path / "a.png")
        code, _, err = run("upscale", source, "-o", place / "new" / "a.png")
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert (code, computed) == (2, [])
    assert "is read-only; choose another place" in err


# -- what is said stands in the JSON -----------------------------------------------------------


def test_warnings_stand_in_the_notices_with_the_name(tmp_path, run, monkeypatch):
    import logging

    from swin2sr_headless.cli import files

    plain = files.open_picture

    def warned(path, *arguments, **options):
        logging.getLogger("swin2sr_core.pictures").warning("something about it")
        return plain(path, *arguments, **options)

    monkeypatch.setattr(files, "open_picture", warned)
    source = picture(tmp_path / "a.png", channels=4)
    code, out, err = run("upscale", source, "-o", tmp_path / "b.jpg", "--json")
    notices = json.loads(out)["notices"]
    assert code == 0
    assert notices == [
        "a.png: something about it",
        "JPEG has no transparency; b.jpg is laid on white",
    ]
    assert err.splitlines() == [f"swin2sr: warning: {each}" for each in notices]


def test_one_object_per_line_for_many(tmp_path, run):
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    picture(tmp_path / "c.png")
    code, out, _ = run("upscale", tmp_path, "--json", "lines")
    documents = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    found = {document["input"].rpartition("/")[2]: document["status"] for document in documents}
    assert found == {"a.png": "ok", "b.png": "error", "c.png": "ok"}
    code, out, _ = run("upscale", tmp_path / "a.png", "--json", "lines")
    (document,) = [json.loads(line) for line in out.splitlines()]
    assert (code, document["status"], document["exit_code"]) == (2, "error", 2)


def test_a_picture_behind_json_is_a_picture(tmp_path, run):
    source = picture(tmp_path / "a.png")
    code, out, _ = run("upscale", "--json", source)
    assert code == 0 and json.loads(out)["input"] == str(source)


def test_options_without_effect_are_told(tmp_path, run):
    source = picture(tmp_path / "a.png")
    options = ["--quality", "50", "--strategy", "whole", "--tile", "64"]
    code, out, err = run("upscale", source, *options, "--json")
    assert code == 0
    notices = json.loads(out)["notices"]
    assert notices == [
        "--tile without --strategy tiled: has no effect",
        "--quality has no effect on PNG",
    ]
    assert err.splitlines() == [f"swin2sr: {notice}" for notice in notices]
    assert "--tile without --strategy tiled" in run("plan", "64x64", "--tile", "64")[1]


def test_an_unknown_option_points_to_the_help_of_its_command(run):
    code, _, err = run("upscale", "a.png", "--overwite")
    assert code == 2 and "`swin2sr upscale --help`" in err and "did you mean --overwrite?" in err


def test_the_limit_of_pixels_is_called_as_the_option_is(tmp_path, run):
    source = picture(tmp_path / "a.png")
    assert "raise the limit (--max-pixels)" in run("upscale", source, "--max-pixels", 9)[2]


def test_a_film_is_answered_with_what_to_do(tmp_path, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "clip.mp4").write_bytes(b"")
    code, _, err = run("upscale", tmp_path / "clip.mp4")
    assert code == 2 and "clip.mp4 is a film" in err
    assert "pip install av" in err and "ffmpeg -i clip.mp4" in err


# -- time --------------------------------------------------------------------------------------


def test_upscaling_teaches_plan_how_long_it_takes(tmp_path, run, cache):
    options = ["--precision", "fp32", "--device", "cpu"]
    code, out, _ = run("plan", "96x64", *options)
    assert code == 0 and "time: not known before" in out
    assert run("upscale", picture(tmp_path / "a.png", 96, 64), *options)[0] == 0
    memory = json.loads((cache / "timings.json").read_text())
    ((_, seconds),) = next(iter(memory["runs"].values()))
    code, out, _ = run("plan", "96x64", *options, "--json")
    assert json.loads(out)["seconds"] == pytest.approx(seconds, abs=0.01)
    _, out, _ = run("plan", "96x64", *options)
    assert f"about {format_seconds(seconds)} here" in out


def test_a_long_batch_tells_how_long_it_takes(tmp_path, run, cache, monkeypatch):
    from swin2sr_headless.cli import one_by_one

    for name in "ab":
        picture(tmp_path / f"{name}.png", 96, 64)
    monkeypatch.setattr(one_by_one, "_LONG", 0)
    assert "will take about" not in run("upscale", tmp_path)[2]
    assert "2 pictures will take about" in run("upscale", tmp_path, "-s", 2)[2]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.31, "0.3 s"), (45.2, "45 s"), (700, "12 min"), (12_000, "3 h 20 min"), (2e5, "55 h")],
)
def test_seconds_for_people(seconds, text):
    assert format_seconds(seconds) == text


# -- sizes are read as they are printed --------------------------------------------------------


def test_width_comes_first(run):
    code, out, _ = run("plan", "640x480", "--device", "cpu")
    assert code == 0 and out.startswith("640x480 -> 2560x1920")
    assert "WIDTHxHEIGHT" in run("plan", "--help")[1]


def test_what_is_looked_at_before_the_work_is_what_is_read_then(tmp_path):
    """The same limits and pages: frames over the limit are refused, pages of a TIFF counted."""
    from pathlib import Path

    from swin2sr_headless.cli.files import Writing, opened
    from swin2sr_headless.cli.targets import Target

    frames = [Image.new("L", (8, 8), shade) for shade in (0, 90, 200)]
    for name in ("a.gif", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])

    def look(name: str, output: str, max_frames: int) -> int:
        writing = Writing(None, None, False, 10**6, max_frames, False)
        with opened(Target(tmp_path / name, Path(output), None), writing) as picture:
            return picture.frame_count

    assert [look("a.tif", each, 9) for each in ("b.tif", "b.png")] == [3, 1]
    assert look("a.gif", "b.gif", 3) == 3
    with pytest.raises(InputError, match="frames"):
        look("a.gif", "b.gif", 2)


def test_a_warning_about_a_picture_is_told_once(tmp_path, run):
    """The file is looked at before the work, and opened again for it."""
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 90)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    code, out, err = run("upscale", tmp_path / "a.tif", "-o", tmp_path / "b.png", "--json")
    assert code == 0
    assert err.count("has 2 pages") == err.count("\n") == 1
    assert sum("has 2 pages" in each for each in json.loads(out)["notices"]) == 1
