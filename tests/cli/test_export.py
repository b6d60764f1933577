"""swin2sr export, from the command line to the files."""

import json
import re
import sys

import onnx
import pytest

from swin2sr_core.export.contract import contract_from


def metadata_of(path) -> dict[str, str]:
    return {prop.key: prop.value for prop in onnx.load(path).metadata_props}


def test_it_writes_the_file_and_its_contract(run, tmp_path):
    path = tmp_path / "compact.onnx"
    code, out, _ = run("export", "compact-x4", "-o", path, "--check", "--json")
    document = json.loads(out)
    assert code == 0 and document["status"] == "ok"
    assert document["bytes"] == path.stat().st_size < 1.5 * document["weight_bytes"]
    assert document["check"]["difference"] <= 1e-5
    beside = json.loads((tmp_path / "compact.onnx.json").read_text())
    assert beside == document["contract"] == contract_from(metadata_of(path)).to_dict()
    assert beside["licence"] == "Apache-2.0" and beside["size"] == "dynamic"


def test_existing_files_stay_unless_told(run, tmp_path):
    (tmp_path / "a.onnx.json").write_text("mine")
    code, _, err = run("export", "compact-x4", "-o", tmp_path / "a.onnx")
    assert code == 2 and "a.onnx.json" in err
    assert [each.name for each in tmp_path.iterdir()] == ["a.onnx.json"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-o", "a.txt"], r"must end in \.onnx"),
        (["-o", "a.onnx", "--size", "64x100"], r"multiples of the window \(8\), got 100"),
        (["-o", "a.onnx", "--size", "large"], "HEIGHTxWIDTH"),
        (["-o", "a.onnx", "--precision", "int8"], "invalid choice"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(run, tmp_path, options, sentence, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("export", "compact-x4", *options)
    assert code == 2 and re.search(sentence, err)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_one_sentence_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, err = run("export", "compact-x4", "-o", tmp_path / "a.onnx")
    assert code == 3 and "pip install onnx" in err and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
