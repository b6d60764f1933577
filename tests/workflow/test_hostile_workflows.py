"""Workflows of strangers: whatever stands where, a run ends with sentences, at once."""

import copy
import json
import os
import struct
import sys
import zlib

import pytest

from swin2sr_headless.workflow.document.source import read_workflow
from swin2sr_headless.workflow.problems import WorkflowError
from swin2sr_headless.workflow.runner import run_workflow

DEEP: list = []
for _ in range(5000):
    DEEP = [DEEP]

ODD = {
    "nul": "a\0b.png",
    "half a character": "\ud800",
    "a long name": "x" * 5000,
    "a deep path": "a/" * 3000,
    "escapes": "\x1b]0;owned\x07\r\nforged",
    "a large number": 10**400,
    "digits": "9" * 5000,
    "nan": float("nan"),
    "a number": 5,
    "none": None,
    "true": True,
    "an object": {"a": 1},
    "an empty list": [],
    "a link to nowhere": ["9", 0],
    "a link of text": ["2", "0"],
    "a link to a huge output": ["2", 10**400],
    "a link to a negative output": ["2", -1],
    "a link of objects": [{}, {}],
    "deep": DEEP,
    "a device": "/dev/zero",
    "nothing": "",
    "a dot": ".",
}


def places(document, path=()):
    """Every path to a value in it."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def changed(document, path, value):
    document = copy.deepcopy(document)
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return document


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_odd_values_anywhere(odd, inverted, make_picture, tmp_path):
    """Nothing is raised, nothing hangs, and each sentence is one line that is fit to print."""
    picture = make_picture()
    for path in places(inverted):
        report = run_workflow(
            changed(inverted, path, odd), inputs={"example.png": picture}, out=tmp_path / "out"
        )
        assert report.status in ("done", "refused", "failed"), (path, report)
        assert report.ok or report.errors
        for error in report.errors:
            assert str(error).isprintable(), path
            assert "unexpected" not in str(error), (path, error)
        json.dumps(report.to_dict()).encode()


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_odd_values_anywhere_in_the_pages_format(odd, tmp_path):
    page = {
        "nodes": [
            {
                "id": 1,
                "type": "LoadImage",
                "mode": 0,
                "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}],
                "widgets_values": ["example.png", "image"],
            },
            {
                "id": 2,
                "type": "SaveImage",
                "mode": 0,
                "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
                "widgets_values": ["x"],
            },
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]],
    }
    for path in places(page):
        report = run_workflow(changed(page, path, odd), out=tmp_path / "out")
        assert not report.ok, path
        for error in report.errors:
            assert str(error).isprintable(), path
            assert "unexpected" not in str(error), (path, error)


@pytest.mark.parametrize("odd", ["nul", "half a character", "a long name", "escapes", "digits"])
def test_odd_keys(odd, inverted, make_picture, tmp_path):
    """Ids, class names and names of inputs are a stranger's, too."""
    key = ODD[odd]
    for graph in (
        {key: inverted["1"]},
        {**inverted, key: {"class_type": key, "inputs": {}}},
        {**inverted, "3": {**inverted["3"], "inputs": {**inverted["3"]["inputs"], key: 1}}},
    ):
        report = run_workflow(graph, inputs={"example.png": make_picture()}, out=tmp_path / "out")
        assert report.ok or report.errors
        assert all(str(error).isprintable() for error in report.errors)


TEXTS = {
    "digits": '{"1": {"class_type": "X", "inputs": {"a": ' + "9" * 5000 + "}}}",
    "deep lists": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "deep inside": '{"1": {"class_type": "X", "inputs": {"a": ' + "[" * 9000 + "]" * 9000 + "}}}",
    "half a character": '{"1": {"class_type": "\\ud800", "inputs": {}}}',
    "nul": '{"1": {"class_type": "a\\u0000", "inputs": {}}}',
    "infinity": '{"1": {"class_type": "X", "inputs": {"a": 1e999}}}',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_odd_files(text, write, tmp_path):
    report = run_workflow(write(text), out=tmp_path / "out")
    assert report.status == "refused"
    assert all(str(error).isprintable() for error in report.errors)


@pytest.mark.parametrize("name", ["a\0.json", "\ud800.json", "x" * 5000, "a/" * 3000])
def test_names_that_no_file_has(name):
    with pytest.raises(WorkflowError, match="cannot read the workflow"):
        read_workflow(name)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs and no /dev/zero")
def test_what_is_no_regular_file(tmp_path, inverted, write):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(WorkflowError, match="is no regular file"):
            read_workflow(place)
        report = run_workflow(inverted, inputs={"example.png": place}, out=tmp_path / "out")
        assert report.status == "refused", report


def test_a_file_without_end(tmp_path):
    """A sparse one of a terabyte; nothing of it is read."""
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(WorkflowError, match="more than 64 MiB"):
        read_workflow(tmp_path / "huge.json")


def png(width, height, *texts):
    """A PNG of no pixels at all, with these text chunks."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*text) for text in texts)


@pytest.mark.parametrize("size", [(20_000, 20_000), (1, 1), (0, 0)])
def test_a_workflow_in_a_picture_of_any_size(size, tmp_path, inverted):
    """The picture is not decoded: its size is none of the workflow's concern."""
    path = tmp_path / "w.png"
    text = b"prompt\0" + json.dumps(inverted).encode()
    path.write_bytes(png(*size, (b"tEXt", text), (b"IDAT", b""), (b"IEND", b"")))
    try:
        assert read_workflow(path).document == inverted
    except WorkflowError as error:
        assert "is a damaged picture: it has no header" in str(error)
        assert size == (0, 0)


@pytest.mark.parametrize(
    "chunk",
    [
        (b"tEXt", b"prompt\0\xff\xfe"),
        (b"tEXt", b"prompt"),
        (b"zTXt", b"prompt\0\0" + zlib.compress(b"[" * 100_000)),
        (b"zTXt", b"prompt\0\0" + zlib.compress(b" " * (200 << 20))),
        (b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b" " * (200 << 20))),
        (b"iTXt", b"prompt\0\1\0\0\0not zlib"),
        (b"zTXt", b"prompt\0\0not zlib"),
    ],
)
def test_odd_texts_in_a_picture(chunk, tmp_path):
    path = tmp_path / "w.png"
    path.write_bytes(png(8, 8, chunk, (b"IDAT", b""), (b"IEND", b"")))
    with pytest.raises(WorkflowError) as caught:
        read_workflow(path)
    assert str(caught.value).isprintable()
