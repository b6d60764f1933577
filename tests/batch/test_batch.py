"""A batch on disks: the same bytes as `upscale`, rows for all, gone on with after anything."""

import json
import os
import signal
import subprocess
import time

import pytest
from batches import NAME, files, made, picture, ran, rows, started
from small_disk import small_disk

pytestmark = pytest.mark.timeout(400)  # each is several runs, and a machine may be busy


def states(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*_x4.*")}


def test_the_bytes_of_upscale_and_a_row_for_each(folder, out, tmp_path):
    assert ran(folder, "--recursive", "-o", tmp_path / "one", command="upscale")[0] == 0
    (folder / "bad.png").write_bytes(b"no picture")
    code, text, err = ran(folder, "--recursive", "-o", out, "--workers", "2", "--json")
    document = json.loads(text)
    assert code == document["exit_code"] == 1
    assert {key: document[key] for key in ("made", "failed", "skipped", "total")} == {
        "made": 3,
        "failed": 1,
        "skipped": 0,
        "total": 4,
    }
    assert "1 failed" in err and document["manifest"] in err
    assert files(out) == files(tmp_path / "one") and len(files(out)) == 3
    (failed,) = [row for row in rows(out / NAME) if row["error"]]
    assert failed["input"].endswith("bad.png") and "not a picture" in failed["error"]
    assert set(made(out / NAME).values()) == {1}


def test_what_is_made_stays_and_what_has_changed_is_made_again(folder, out):
    options = (folder, "--recursive", "-o", out)
    assert ran(*options)[0] == 0
    before = states(out)
    os.utime(folder / "a.png")  # another time, the same bytes
    code, text, _ = ran(*options)
    assert code == 0 and "0 of 3 pictures made, 3 were there" in text
    assert states(out) == before
    picture(folder / "a.png", 9)
    (out / "x" / "c_x4.png").unlink()
    assert "2 of 3 pictures made, 1 were there" in ran(*options)[1]
    changed = {path.name for path, state in states(out).items() if before[path] != state}
    assert changed == {"a_x4.png", "c_x4.png"}
    assert "3 of 3 pictures made" in ran(*options, "--sharpen", "0.2")[1]


def test_a_full_disk_ends_it_in_a_sentence_and_the_same_command_goes_on(folder, out):
    out.mkdir()
    with small_disk(out, "400k"):
        for number in range(12):
            picture(folder / f"{number}.png", number, 48, 40)
        code, text, err = ran(folder, "-o", out, "--json")
        document = json.loads(text)
        assert (code, document["failed"]) == (1, 0) and 0 < document["made"] < document["total"]
        assert err.count("the disk is full") == 1 and "run the same command to go on" in err
        names = {f"{path.name}" for path in out.glob("*_x4.png")}
        assert len(names) == len(made(out / NAME)) == document["made"]
        subprocess.run(["mount", "-o", "remount,size=8m", str(out)], check=True)
        code, text, _ = ran(folder, "-o", out)
        assert code == 0 and f"{document['made']} were there" in text


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL there")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_stopped_in_the_middle_nothing_is_lost_or_made_twice(number, tmp_path, out):
    for index in range(40):
        picture(tmp_path / "in" / f"{index:02}.png", index, 8 + 8 * (index % 3), 8)
    options = (tmp_path / "in", "-o", out, "--workers", "2", "--device", "cpu")
    process = started(*options)
    while len(rows(out / NAME)) < 9:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert len(made(out / NAME)) < 40
    with (out / NAME).open("ab") as file:
        file.write(b'{"input": "torn')
    assert ran(*options[:-2])[0] == 0
    assert len(made(out / NAME)) == 40 and set(made(out / NAME).values()) == {1}
    assert sorted(path.name for path in out.glob("*.png")) == [f"{n:02}_x4.png" for n in range(40)]
    assert ran(tmp_path / "in", "-o", tmp_path / "one", command="upscale")[0] == 0
    assert files(out) == files(tmp_path / "one")


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL there")
def test_a_worker_that_is_killed_loses_no_picture(tmp_path, out):
    for index in range(30):
        picture(tmp_path / "in" / f"{index:02}.png", index, 16, 16)
    process = started(tmp_path / "in", "-o", out, "--workers", "2", "--device", "cpu")
    while len(rows(out / NAME)) < 5:
        time.sleep(0.005)
    workers = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    assert len(workers) == 2
    os.kill(int(workers[0]), signal.SIGKILL)
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert len(made(out / NAME)) == 30 and set(made(out / NAME).values()) == {1}


def test_two_batches_do_not_share_a_manifest(folder, out):
    from filelock import FileLock

    out.mkdir()
    with FileLock(out / f".{NAME}.lock"):
        code, _, err = ran(folder, "-o", out)
    assert code == 2 and "another batch writes" in err


def test_what_a_batch_does_not_know_it_does_not_replace(folder, out):
    picture(out / "a_x4.png", 7)
    before = files(out)
    code, _, err = ran(folder, "-o", out)
    assert code == 2 and "a_x4.png exists already" in err and files(out) == before
    assert ran(folder, "-o", out, "--overwrite")[0] == 0


def test_a_list_of_names_and_one_that_is_not_there(folder, out, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text(f"{folder / 'a.png'}\n\n{folder / 'x'}\n")
    assert ran("--list", names, "-o", out)[0] == 0
    assert sorted(files(out)) == ["a_x4.png", "c_x4.png"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "out"], "or a --list of them"),
        (["in", "-o", "in"], "is the folder of the pictures"),
        (["in/none.png", "-o", "out"], "there is no file or folder"),
        (["in/a.png", "in/x/a.png", "-o", "out"], "would both become"),
        (["a.mp4", "-o", "out"], "is a film"),
        (["in", "-o", "out", "--device", "cuda:0,cuda:1", "--workers", "2"], "a worker each"),
        (["nowhere://in", "-o", "out"], "nowhere"),
        (["in", "-o", "out", "--model", "none-x4"], "none-x4"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_starts(arguments, sentence, folder, tmp_path):
    picture(folder / "x" / "a.png", 4)
    words = [str(tmp_path / word) if word[:2] in ("in", "ou", "a.") else word for word in arguments]
    process = started(*words)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (2, 3) and sentence in err and err.count("\n") == 1


def test_a_device_that_is_not_there_ends_it(folder, out):
    process = started(folder, "-o", out, "--device", "cuda:7")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3 and "cuda" in err
