"""swin2sr export, from the command line to the files."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

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
        (["-o", "a.onnx", "--precision", "int8"], "takes longer than fp32"),
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


@pytest.fixture
def exported(run, tmp_path):
    """compact-x4 as a file."""
    path = tmp_path / "compact.onnx"
    assert run("export", "compact-x4", "-o", path)[0] == 0
    return path


def test_a_picture_through_the_file_is_what_torch_tiled_gives(run, tmp_path, exported):
    picture = tmp_path / "in.png"
    Image.effect_noise((70, 52), 60).convert("RGB").save(picture)
    common = ("--strategy", "tiled", "--tile", 48, "--overlap", 16, "--json")
    made = []
    for model in (exported, "compact-x4"):
        out = tmp_path / f"{Path(model).stem}.png"
        options = ("--model", model, "--precision", "fp32", "-o", out)
        code, told, _ = run("upscale", picture, *options, *common)
        assert code == 0
        made.append((json.loads(told), np.asarray(Image.open(out), np.int16)))
    (ours, first), (_, second) = made
    assert np.abs(first - second).max() <= 1 and (first != second).mean() < 0.01
    assert ours["strategy"] == "tiled" and ours["kernel"] == "onnxruntime cpu"
    assert any("not exactly" in notice for notice in ours["plan"]["notes"])


def test_plan_knows_the_file_without_loading_it(run, exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, out, _ = run("plan", "900x700", "--model", exported, "--json")
    document = json.loads(out)
    assert code == 0 and document["plan"]["strategy"] == "tiled"
    assert document["kernel"] == "onnxruntime"
    assert {each["strategy"] for each in document["candidates"]} == {"tiled"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--engine", "torch", "--model", "FILE"], "--engine torch does not run"),
        (["--engine", "onnxruntime"], r"first `swin2sr export compact-x4 -o FILE\.onnx`"),
        (["--model", "FILE", "--strategy", "whole"], "tiles alone"),
        (["--model", "FILE", "--precision", "bf16"], "exported in fp32"),
        (["--provider", "cpu"], "--provider is for exported"),
    ],
)
def test_what_does_not_fit_together_is_said(run, tmp_path, exported, options, sentence):
    picture = tmp_path / "in.png"
    Image.new("RGB", (16, 16)).save(picture)
    given = [exported if word == "FILE" else word for word in options]
    code, _, err = run("upscale", picture, "-o", tmp_path / "out.png", *given)
    assert code == 2 and re.search(sentence, err)
    assert not (tmp_path / "out.png").exists()
