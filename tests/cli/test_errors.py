"""swin2sr upscale with what can't work: one clear sentence, the right exit code, nothing left."""

import os
import pickle
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from swin2sr_core.models.catalog import find_entry, locate
from swin2sr_headless.cli.main import main
from swin2sr_headless.failures import explain


@pytest.fixture
def refused(capsys, tmp_path):
    """Run a command line that has to fail with this code, and return its sentence.

    Checks what holds for every failure: one line, no traceback, no output, no file more or less.
    """

    def refused(code, *arguments):
        before = files(tmp_path)
        assert main([str(argument) for argument in arguments]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("swin2sr: error: ") and err.count("\n") == 1, err
        assert "Traceback" not in err
        assert files(tmp_path) == before
        return err

    return refused


def files(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def source(tmp_path):
    return picture(tmp_path / "a.png")


@pytest.fixture
def weights():
    path = locate(find_entry("compact-x4"))
    assert path is not None
    return path


def picture(path, width=24, height=16):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


# -- inputs ------------------------------------------------------------------------------------


def test_a_missing_file(refused, tmp_path):
    assert f"there is no file or folder {tmp_path / 'b.png'}" in refused(
        2, "upscale", tmp_path / "b.png"
    )


def test_a_folder_without_pictures(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "has no pictures in it" in refused(2, "upscale", tmp_path / "empty")


def test_a_pattern_without_pictures(refused, tmp_path):
    assert "matches no picture" in refused(2, "upscale", tmp_path / "*.png")


def test_a_text_file_named_png(refused, tmp_path):
    (tmp_path / "b.png").write_text("Dear diary")
    sentence = refused(2, "upscale", tmp_path / "b.png", "-o", tmp_path / "new" / "c.png")
    assert "b.png is not a picture of a kind that is read here" in sentence


def test_a_truncated_png(refused, tmp_path):
    whole = picture(tmp_path / "a.png", 48, 48).read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    sentence = refused(2, "upscale", tmp_path / "b.png", "-o", tmp_path / "new" / "c.png")
    assert "b.png is damaged or incomplete" in sentence


def bomb(path):
    """A PNG of 50,000 x 50,000 pixels in a few bytes."""

    def chunk(name, content):
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


def test_a_decompression_bomb(refused, tmp_path):
    sentence = refused(2, "upscale", bomb(tmp_path / "b.png"))
    assert "pixels, and the limit is 100,000,000" in sentence


def test_the_limit_of_pixels_can_be_chosen(refused, source):
    sentence = refused(2, "upscale", source, "--max-pixels", "100")
    assert "pixels, and the limit is 100;" in sentence


# -- outputs -----------------------------------------------------------------------------------


def test_an_existing_output_is_refused_before_computing(refused, tmp_path):
    source = tmp_path / "a.png"
    Image.new("RGB", (3000, 3000)).save(source)  # computing it would take minutes
    (tmp_path / "a_x4.png").write_bytes(b"precious")
    assert "a_x4.png exists already; allow it with --overwrite" in refused(2, "upscale", source)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_output_folder(refused, source, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    sentence = refused(2, "upscale", source, "-o", tmp_path / "out")
    assert "is read-only; choose another place" in sentence


def test_a_file_in_place_of_the_output_folder(refused, source, tmp_path):
    (tmp_path / "out").write_text("in the way")
    sentence = refused(2, "upscale", source, "-o", tmp_path / "out" / "a.png")
    assert f"cannot make the output folder {tmp_path / 'out'}" in sentence


def test_an_unknown_output_format(refused, source, tmp_path):
    sentence = refused(2, "upscale", source, "-o", tmp_path / "a.xyz")
    assert "cannot tell the format of a.xyz; end its name with one of .png" in sentence


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


def test_a_full_disk(refused, tmp_path, tiny_disk):
    source = picture(tmp_path / "a.png", 64, 64)
    sentence = refused(2, "upscale", source, "-o", tiny_disk / "a.png")
    assert f"the disk is full: {tiny_disk / 'a.png'} was not written" in sentence


# -- models ------------------------------------------------------------------------------------


def test_an_unknown_model_suggests_near_ones(refused, source):
    sentence = refused(3, "upscale", source, "--model", "clasical-x4")
    assert "there is no model called 'clasical-x4'; did you mean classical-x4" in sentence


def test_a_model_that_is_not_downloaded(refused, source, tmp_path, monkeypatch):
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path / "models"))
    sentence = refused(3, "upscale", source, "--model", "classical-x4")
    assert "run `swin2sr models download classical-x4`" in sentence


def test_a_missing_model_file(refused, source, tmp_path):
    sentence = refused(3, "upscale", source, "--model", tmp_path / "none.pth")
    assert f"no such file: {tmp_path / 'none.pth'}" in sentence


@pytest.mark.parametrize("part", [0, 4, 1000, 0.5])
def test_a_truncated_safetensors(part, refused, source, tmp_path, weights):
    content = weights.read_bytes()
    length = int(part * len(content)) if part == 0.5 else part
    (tmp_path / "cut.safetensors").write_bytes(content[:length])
    sentence = refused(2, "upscale", source, "--model", tmp_path / "cut.safetensors")
    assert "cut.safetensors is no whole safetensors file" in sentence


@pytest.mark.parametrize("part", [0, 0.5, 0.99])
def test_a_truncated_pth(part, refused, source, tmp_path, weights):
    torch.save({"params": load_file(weights)}, tmp_path / "whole.pth")
    content = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: int(part * len(content))])
    sentence = refused(2, "upscale", source, "--model", tmp_path / "cut.pth")
    assert "cut.pth is truncated or no torch file" in sentence


class Attack:
    """Unpickled, it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "owned")


@pytest.mark.parametrize("save", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_a_pickle_that_would_run_code(save, refused, source, tmp_path):
    save({"params": {"conv_first.weight": Attack(tmp_path / "owned")}}, tmp_path / "evil.pth")
    sentence = refused(2, "upscale", source, "--model", tmp_path / "evil.pth")
    assert "evil.pth holds more than tensors, or is damaged" in sentence
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_last.weight"), "ESRGAN"),
        (("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"), "ESRGAN"),
        (
            (
                "conv_first.weight",
                "layers.0.residual_group.blocks.0.attn.relative_position_bias_table",
                "layers.0.residual_group.blocks.0.attn.qkv.weight",
            ),
            "SwinIR",
        ),
    ],
)
def test_a_checkpoint_of_another_architecture(keys, name, refused, source, tmp_path):
    state = {key: torch.zeros(8, 3, 3, 3) for key in keys}
    torch.save({"params_ema": state}, tmp_path / "other.pth")
    sentence = refused(2, "upscale", source, "--model", tmp_path / "other.pth")
    assert f"it looks like {name}" in sentence and "only Swin2SR is supported" in sentence


def test_a_weight_that_is_nan(refused, source, tmp_path, weights):
    state = load_file(weights)
    state["conv_first.weight"][0, 0, 0, 0] = float("nan")
    save_file(state, tmp_path / "nan.safetensors")
    sentence = refused(2, "upscale", source, "--model", tmp_path / "nan.safetensors")
    assert "`conv_first.weight` in nan.safetensors holds NaN" in sentence


# -- devices and budgets -----------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_a_device_that_is_not_there(refused, source):
    assert "has no cuda device; use --device cpu" in refused(
        3, "upscale", source, "--device", "cuda"
    )


def test_a_device_that_does_not_exist(refused, source):
    assert "device must be auto, cpu, cuda" in refused(2, "upscale", source, "--device", "abacus")


def test_a_scale_that_is_impossible(refused, source):
    for scale in ("0", "-4", "65", "nan", "inf"):
        sentence = refused(2, "upscale", source, f"--scale={scale}")
        assert "--scale: expected a number over 0 and at most 64" in sentence


def test_a_budget_too_small_names_the_smallest_that_works(refused, source, tmp_path):
    options = ["--device", "cpu", "--max-memory"]
    sentence = refused(2, "upscale", source, *options, "100KB")
    assert "does not fit into 100 KB with the program itself (320 MB); the smallest" in sentence
    smallest = sentence.strip().split("works is ")[1].replace(" ", "")
    assert main(["upscale", str(source), *options, smallest]) == 0
    assert (tmp_path / "a_x4.png").exists()


# -- what nobody foresaw -----------------------------------------------------------------------


def test_a_traceback_is_shown_when_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SWIN2SR_DEBUG", "1")
    assert main(["upscale", str(tmp_path / "b.png")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback") and "swin2sr: error: there is no file" in err


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (ZeroDivisionError("by\nzero"), 1, "unexpected ZeroDivisionError: by zero; set SWIN2SR_DE"),
        (KeyboardInterrupt(), 130, "interrupted; nothing half-written is left"),
        (MemoryError(), 1, "out of memory: close other programs, or give a --max-memory"),
        (RuntimeError("MPS backend out of memory (...)"), 1, "out of memory: close"),
    ],
)
def test_other_exceptions_become_a_sentence(error, code, sentence):
    failure = explain(error)
    assert failure.exit_code == code and failure.sentence.startswith(sentence)


def test_the_allocators_own_error_is_told_as_out_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    failure = explain(caught.value)
    assert (failure.kind, failure.exit_code) == ("MemoryError", 1)
    assert failure.sentence.startswith("out of memory (1,152,921,504,606,846,976 bytes more were")
