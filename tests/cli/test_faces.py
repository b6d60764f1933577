"""swin2sr faces, and swin2sr upscale --faces."""

import json
import sys

import numpy as np
import pytest
from drawn_face import drawn_face
from PIL import Image


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder of downloaded models, with nothing in it: the detector comes with the package."""
    pytest.importorskip("cv2", reason="the extra `faces` is not installed")
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(folder))
    return folder


@pytest.fixture
def astronaut(data_folder, tmp_path):
    """A portrait of 128 x 128 px, with a face of about 21 x 25."""
    path = tmp_path / "astronaut.png"
    with Image.open(data_folder / "images" / "astronaut.png") as image:
        image.convert("RGB").resize((128, 128), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def tiny_model(make_network, make_config, tmp_path):
    """A checkpoint of a tiny random network, x4."""
    from swin2sr_core.models.checkpoint import save_checkpoint

    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, make_network(make_config(scale=4)).state_dict())
    return path


def test_faces_are_told_to_people(run, models, astronaut):
    code, out, err = run("faces", astronaut)
    assert (code, err) == (0, "")
    heading, row = out.splitlines()
    assert heading.split() == ["x", "y", "width", "height", "score"]
    assert abs(int(row.split()[0]) - 46) <= 2


def test_and_to_programs(run, models, astronaut):
    code, out, err = run("faces", astronaut, "--json")
    document = json.loads(out)
    assert (code, err, document["status"], document["count"]) == (0, "", "ok", 1)
    assert document["size"] == [128, 128]
    (face,) = document["faces"]
    points = face["landmarks"]
    assert points["left eye"][0] < points["nose"][0] < points["right eye"][0]
    assert face["x"] < points["left eye"][0] < face["x"] + face["width"]
    assert face["score"] > 0.8


def test_limits_leave_out_faces_and_say_why(run, models, astronaut):
    document = json.loads(run("faces", astronaut, "--json", "--min-face", 40)[1])
    assert (document["count"], document["skipped"][0]["reason"]) == (0, "25 px")
    document = json.loads(run("faces", astronaut, "--json", "--score", 0.95)[1])
    assert document["skipped"][0]["reason"].startswith("score 0.")
    assert run("faces", astronaut, "--min-face", 40)[1] == "no faces\n"


def test_a_preview_shows_the_boxes(run, models, astronaut, tmp_path):
    preview = tmp_path / "boxes.png"
    assert run("faces", astronaut, "--preview", preview)[0] == 0
    with Image.open(preview) as image, Image.open(astronaut) as original:
        drawn, plain = np.asarray(image).astype(int), np.asarray(original.convert("RGB"))
        assert drawn.shape == plain.shape
        changed = (np.abs(drawn - plain).max(axis=2) > 0).mean()
    assert 0.005 < changed < 0.1
    code, _, err = run("faces", astronaut, "--preview", preview)
    assert code == 2
    assert "exists already" in err
    assert run("faces", astronaut, "--preview", preview, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.png"], "there is no file nowhere.png"),
        (["a.png", "--score", "2"], "expected a number from 0 to 1, got '2'"),
        (["a.png", "--preview", "boxes.xyz"], "xyz"),
        (["a.png", "--preview", "nowhere/boxes.png"], "there is no folder nowhere"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments, words, run, models):
    code, out, err = run("faces", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_what_is_missing_and_how_to_get_it(run, tmp_path, monkeypatch):
    """All of it at once, before anything is computed."""
    source = tmp_path / "face.png"
    drawn_face().save(source)
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path / "empty"))
    monkeypatch.setitem(sys.modules, "cv2", None)
    code, _, err = run("faces", source)
    assert code == 3
    assert "pip install opencv-python-headless" in err
    code, _, err = run("upscale", source, "--faces")
    assert code == 3
    assert "pip install opencv-python-headless" in err
    assert "swin2sr models download lightweight-x2" in err
    assert not list(tmp_path.glob("*_x4*"))


def test_a_drawn_face_is_found_without_a_download(run, models, tmp_path):
    drawn_face().save(tmp_path / "face.png")
    code, out, err = run("faces", tmp_path / "face.png", "--json")
    assert (code, err, json.loads(out)["count"]) == (0, "", 1)


def test_upscale_with_faces_changes_the_face_and_nothing_else(
    run, models, astronaut, tiny_model, tmp_path
):
    plain, better = tmp_path / "plain.png", tmp_path / "better.png"
    assert run("upscale", astronaut, "-o", plain, "--precision", "fp32")[0] == 0
    options = ["--face-model", tiny_model, "--precision", "fp32", "--json"]
    code, out, err = run("upscale", astronaut, "-o", better, *options)
    assert (code, err, json.loads(out)["faces"]) == (0, "", 1)
    with Image.open(plain) as one, Image.open(better) as other:
        changed = (np.asarray(one) != np.asarray(other)).any(axis=2)
    ys, xs = changed.nonzero()
    assert 0.05 < changed.mean() < 0.15
    assert (abs(xs.min() - 164) < 12, abs(xs.max() - 288) < 12) == (True, True)
    assert (abs(ys.min() - 40) < 12, abs(ys.max() - 196) < 12) == (True, True)


def test_without_faces_the_result_is_the_same_file(run, models, tiny_model, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    assert run("upscale", tmp_path / "a.png", "-o", one)[0] == 0
    code, out, _ = run("upscale", tmp_path / "a.png", "-o", other, "--face-model", tiny_model)
    assert code == 0
    assert "faces refined: 0" in out
    assert one.read_bytes() == other.read_bytes()


def test_the_default_face_model_has_to_be_here(run, models, astronaut):
    code, _, err = run("upscale", astronaut, "--faces")
    assert code == 3
    assert "swin2sr models download lightweight-x2" in err
