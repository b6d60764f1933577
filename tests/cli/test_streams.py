"""`-`: pictures in pipes."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import swin2sr_core

ROOT = Path(swin2sr_core.__file__).parents[1]
COMMAND = [sys.executable, "-m", "swin2sr_core", "upscale"]


@pytest.fixture
def run():
    def run(*arguments, content=b""):
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=content,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            timeout=300,
        )

    return run


def encoded(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, kind)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("options", "kind"), [(["-"], "JPEG"), (["-", "-o", "-", "-f", "webp"], "WEBP")]
)
def test_from_a_pipe_into_a_pipe(options, kind, run, cache):
    done = run(*options, content=encoded("JPEG"))
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == (kind, (48, 32))
    assert b"12x8 -> 48x32" in done.stderr
    assert not list(cache.glob("made/*"))


def test_from_a_pipe_into_a_file_and_back(run, tmp_path):
    done = run("-", "-s", 2, "-o", tmp_path / "a.png", content=encoded("PNG"))
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (24, 16)
    done = run(tmp_path / "a.png", "-o", "-")
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (96, 64))


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="there is no /dev/stdin")
def test_dev_stdin_is_standard_input(run):
    done = run("/dev/stdin", content=encoded("PNG"))
    assert done.returncode == 0, done.stderr
    assert Image.open(io.BytesIO(done.stdout)).size == (48, 32)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-"], "nothing came on standard input"),
        (["-", "b.png"], "name no others beside it"),
        (["-", "--json"], "both want standard output"),
        (["nothing.png", "-o", "-"], "there is no file"),
    ],
)
def test_pipes_that_cannot_be(options, words, run):
    done = run(*options)
    assert (done.returncode, done.stdout.count(b"\x89PNG")) == (2, 0)
    assert words in done.stderr.decode()


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_reader_that_leaves_leaves_no_picture_undone(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(encoded("PNG"))
    line = " ".join(f"'{part}'" for part in [*COMMAND, str(tmp_path)])
    done = subprocess.run(
        ["sh", "-c", f"{{ {line}; echo $? > '{tmp_path}/code'; }} | true"],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.stderr == b""
    assert (tmp_path / "code").read_text().strip() == "0"
    assert len(list(tmp_path.glob("*_x4.png"))) == 3
