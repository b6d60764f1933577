"""Batches: outputs never become inputs, and what was stopped goes on."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import swin2sr_core
from swin2sr_headless.cli.main import main

ROOT = Path(swin2sr_core.__file__).parents[1]
THOROUGH = bool(os.environ.get("SWIN2SR_THOROUGH_TESTS"))


@pytest.fixture
def run(capsys):
    """Run `swin2sr upscale`: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = main(["upscale", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("a.png", "b.jpg", "c.png")):
        picture(tmp_path / "in" / name, number)
    return tmp_path / "in"


def picture(path, seed=0, width=12, height=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def states(folder):
    return {p.name: (p.stat().st_mtime_ns, p.stat().st_ino) for p in folder.iterdir()}


# -- outputs are no inputs ---------------------------------------------------------------------


MADE = ["a.png", "a_x4.png", "b.jpg", "b_x4.jpg", "c.png", "c_x4.png"]


def test_a_folder_upscaled_again_and_again_stays_as_it_is(folder, run):
    assert run(folder)[0] == 0
    for _ in range(2):
        code, out, err = run(folder, "--overwrite")
        assert code == 0 and "3 of 3 pictures done" in out
        assert err.startswith("swin2sr: left out, as outputs of this command: ")
        assert "a_x4.png" in err and "b_x4.jpg" in err and err.count("\n") == 1
    assert names(folder) == MADE


def test_neither_with_another_scale_nor_a_comparison(folder, run):
    assert run(folder, "--compare")[0] == 0
    assert run(folder, "-s", 2)[0] == 0
    assert run(folder, "--longest-side", 20)[0] == 0
    stems = {name.rpartition(".")[0] for name in names(folder)}
    ends = ("", "_x4", "_x4_compare", "_x2", "_20px")
    assert stems == {f"{stem}{end}" for stem in "abc" for end in ends}


def test_nor_as_files_that_a_shell_has_named(folder, run):
    assert run(folder)[0] == 0
    code, _, err = run(*sorted(folder.iterdir()), "--overwrite")
    assert code == 0 and "as outputs of this command" in err
    assert run(*sorted(folder.iterdir()), "-s", 2)[0] == 0
    assert [name for name in names(folder) if "x4_x" in name] == []


def test_nor_without_a_memory(folder, run, cache):
    """By names: those of outputs of pictures that are there."""
    assert run(folder)[0] == 0
    shutil.rmtree(cache)
    assert run(folder, "--overwrite")[0] == 0
    assert run(folder, "-s", 2)[0] == 0
    assert [name for name in names(folder) if "x4_x" in name] == []


def test_nor_where_the_originals_are_gone(folder, run):
    """By what is remembered, whatever they are called."""
    assert run(folder, "--suffix", "_large")[0] == 0
    for name in ("a.png", "b.jpg", "c.png"):
        (folder / name).unlink()
    code, _, err = run(folder)
    assert code == 2 and "all 3 pictures are outputs of this command" in err


def test_nor_in_a_folder_for_outputs_that_lies_within(folder, run, cache):
    for _ in range(2):
        assert run(folder, "-o", folder / "out", "--recursive", "--overwrite")[0] == 0
        assert names(folder / "out") == ["a_x4.png", "b_x4.jpg", "c_x4.png"]
        shutil.rmtree(cache)


def test_a_picture_named_alone_is_meant(folder, run):
    assert run(folder)[0] == 0
    assert run(folder / "a_x4.png")[0] == 0
    with Image.open(folder / "a_x4_x4.png") as result:
        assert result.size == (192, 128)


def test_a_picture_that_only_sounds_like_an_output_is_one_of_the_inputs(tmp_path, run):
    picture(tmp_path / "model_x4.png")
    assert run(tmp_path)[0] == 0
    assert names(tmp_path) == ["model_x4.png", "model_x4_x4.png"]


def test_no_picture_is_replaced_by_its_own_enlargement(folder, run):
    before = states(folder)
    code, _, err = run(folder, "--suffix", "", "--overwrite")
    assert code == 2 and "would take the place of a picture to be upscaled" in err
    assert states(folder) == before


# -- going on ----------------------------------------------------------------------------------


def test_the_refusal_names_the_way_to_go_on(folder, run):
    assert run(folder / "a.png")[0] == 0
    code, _, err = run(folder)
    assert code == 2 and "--skip-existing" in err


def test_what_is_made_is_not_made_again(folder, run, tmp_path):
    out = tmp_path / "out"
    assert run(folder, "-o", out)[0] == 0
    before = states(out)
    code, text, err = run(folder, "-o", out, "--skip-existing", "--json")
    document = json.loads(text)
    assert (code, err, document["status"]) == (0, "", "ok")
    assert [each["status"] for each in document["results"]] == ["skipped"] * 3
    assert states(out) == before
    picture(folder / "d.png", 9)
    code, text, _ = run(folder, "-o", out, "--skip-existing")
    assert code == 0 and "1 of 4 pictures done, 3 were there" in text
    assert {name: state for name, state in states(out).items() if name != "d_x4.png"} == before


@pytest.mark.parametrize(
    ("options", "again"),
    [
        (["--max-memory", "1GB"], 0),
        (["--strategy", "whole"], 0),
        (["--sharpen", "0.2"], 3),
        (["--precision", "int8"], 3),
        (["-s", "2", "--suffix", "_x4"], 3),
        (["--bits", "8"], 3),
    ],
)
def test_what_was_made_otherwise_is_made_again(options, again, folder, run, tmp_path):
    out = tmp_path / "out"
    assert run(folder, "-o", out, "--precision", "fp32")[0] == 0
    before = states(out)
    if "--precision" not in options:
        options = [*options, "--precision", "fp32"]
    assert run(folder, "-o", out, "--skip-existing", *options)[0] == 0
    assert sum(states(out)[name] != state for name, state in before.items()) == again


def test_a_changed_source_and_a_damaged_output_are_made_again(folder, run, tmp_path):
    out = tmp_path / "out"
    assert run(folder, "-o", out)[0] == 0
    picture(folder / "a.png", 77)
    whole = (out / "c_x4.png").read_bytes()
    (out / "c_x4.png").write_bytes(whole[: len(whole) // 2])
    before = states(out)
    assert run(folder, "-o", out, "--skip-existing")[0] == 0
    changed = {name for name, state in states(out).items() if before[name] != state}
    assert changed == {"a_x4.png", "c_x4.png"}
    assert (out / "c_x4.png").read_bytes() == whole


def test_without_a_memory_whole_files_of_the_right_size_stay_and_that_is_told(
    folder, run, tmp_path, cache
):
    out = tmp_path / "out"
    assert run(folder, "-o", out)[0] == 0
    shutil.rmtree(cache)
    whole = (out / "b_x4.jpg").read_bytes()
    (out / "b_x4.jpg").write_bytes(whole[: len(whole) // 2])
    picture(out / "c_x4.png", 5, 12, 8)  # of another size
    before = states(out)
    code, text, err = run(folder, "-o", out, "--skip-existing")
    assert code == 0 and "2 of 3 pictures done, 1 were there" in text
    assert "a_x4.png: it was there, whole and of the right size, and is kept" in err
    assert states(out)["a_x4.png"] == before["a_x4.png"]
    assert (out / "b_x4.jpg").read_bytes() == whole
    with Image.open(out / "c_x4.png") as image:
        assert image.size == (48, 32)


def test_replacing_all_and_replacing_none_contradict_each_other(folder, run):
    code, _, err = run(folder, "--overwrite", "--skip-existing")
    assert code == 2 and "contradict each other" in err


def test_a_memory_that_cannot_be_written_is_told_once(folder, run, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SWIN2SR_CACHE_DIR", str(tmp_path / "file"))
    code, _, err = run(folder)
    assert code == 0 and err.count("is not remembered") == 1


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL there")
def test_killed_again_and_again_everything_is_made_once(tmp_path, cache):
    """Kills at moments drawn by chance; all is there, whole, none made twice but one per kill."""
    count, kills = (1000, 5) if THOROUGH else (12, 1)
    folder, out, rng = tmp_path / "in", tmp_path / "out", random.Random(count)
    for number in range(count):
        picture(folder / f"{number:04}.png", number, 8, 8)
    command = [sys.executable, "-m", "swin2sr_core", "upscale", str(folder), "-o", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def start():
        line = [*command, "--skip-existing"]
        return subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)

    def entries():
        lines = (line for file in (cache / "made").glob("*") for line in file.read_bytes().split())
        return b"".join(lines).count(b'"begin"')

    killed = 0
    while killed < kills:
        process, before = start(), entries()
        goal = before + rng.randint(2, 2 * count // (kills + 1))
        while entries() < goal and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert start().wait() == 0
    (record,) = (cache / "made").glob("*.jsonl")
    lines = [json.loads(line) for line in record.read_bytes().splitlines() if line.endswith(b"}")]
    begun = Counter(entry["begin"] for entry in lines if "begin" in entry)
    made = Counter(entry["made"] for entry in lines if "made" in entry)
    assert set(made.values()) == {1} and len(made) == count
    assert max(begun.values()) <= 2 and sum(begun.values()) - count <= kills
    assert names(out) == [f"{number:04}_x4.png" for number in range(count)]
    for path in out.iterdir():
        with Image.open(path) as image:
            image.load()
            assert image.size == (32, 32)


# -- folders, names, formats -------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    for name in ("in/a.png", "in/x/a.png", "in/x/y/b.png", "in/.hidden/c.png"):
        picture(tmp_path / name)
    return tmp_path / "in"


def test_recursion_keeps_the_folders(tree, run, tmp_path):
    assert run(tree, "--recursive", "-o", tmp_path / "out")[0] == 0
    assert names(tmp_path / "out") == ["a_x4.png", "x/a_x4.png", "x/y/b_x4.png"]


def test_folders_that_are_left_out_are_told(tree, run, tmp_path):
    code, _, err = run(tree, "-o", tmp_path / "out")
    assert code == 0 and names(tmp_path / "out") == ["a_x4.png"]
    assert err == f"swin2sr: left out, folders with pictures: {tree / 'x'} (--recursive)\n"


def test_format_and_suffix(folder, run, tmp_path):
    assert run(folder, "-o", tmp_path / "out", "-f", "webp", "--suffix", "")[0] == 0
    assert names(tmp_path / "out") == ["a.webp", "b.webp", "c.webp"]
    code, _, err = run(folder / "a.png", "-o", tmp_path / "a.png", "--format", "jpg")
    assert code == 2 and "names one format and --format another" in err
    assert "expected one of png" in run(folder, "-f", "doc")[2]
    assert "a part of a file name" in run(folder, "--suffix", "../x")[2]


def test_a_new_folder_needs_no_slash(folder, run, tmp_path):
    assert run(folder, "-o", tmp_path / "many")[0] == 0
    assert run(folder / "a.png", "-o", tmp_path / "one")[0] == 0
    assert names(tmp_path / "one") == ["a_x4.png"]


def test_what_a_folder_leaves_out_is_told_once_by_name(folder, run):
    for name in ("film.mp4", "raw.cr2", "notes.txt", ".hidden.heic", "._a.png"):
        (folder / name).write_bytes(b"")
    code, out, err = run(folder, "--json")
    (notice,) = json.loads(out)["notices"]
    assert code == 0 and err == f"swin2sr: {notice}\n"
    assert "film.mp4" in notice and "raw.cr2" in notice
    assert "notes.txt" not in notice and "hidden" not in notice
