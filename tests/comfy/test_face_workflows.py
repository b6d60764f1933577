"""The example workflows for faces, run in a real ComfyUI; a stand-in takes Impact Pack's part."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "example_workflows" / "api"
FACE = (46, 17, 67, 42)


@pytest.fixture
def inputs(host, base, data_folder, put_model):
    """A portrait with something painted on it, a stand-in for the better model, the detector."""
    if not host.real:
        pytest.skip("no real ComfyUI: set COMFYUI_DIR")
    with Image.open(data_folder / "images" / "astronaut.png") as image:
        small = image.convert("RGBA").resize((128, 128), Image.Resampling.BICUBIC)
    small.paste((200, 60, 20, 0), (90, 100, 114, 112))
    small.save(base / "input" / "example.png")
    put_model("Swin2SR_Lightweight_X2_64.safetensors")


def flow(name):
    """A workflow in API format, with a picture of the base saved beside the result."""
    prompt = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    (upscale,) = [n for n, e in prompt.items() if e["class_type"] == "Swin2SR_TiledUpscale"]
    saved = {"images": [upscale, 0], "filename_prefix": "base"}
    prompt["base"] = {"class_type": "SaveImage", "inputs": saved}
    return prompt


def saved(base, result, node):
    (entry,) = result.outputs[node]["images"]
    folder = base / entry["type"] / entry["subfolder"]
    with Image.open(folder / entry["filename"]) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_two_stages_change_the_face_and_what_is_painted(queue, base, inputs):
    pytest.importorskip("cv2", reason="the extra `faces` is not installed")
    prompt = flow("faces_two_stage")
    result = queue(prompt)
    assert result.status == "execution_success", result.error
    (save,) = [n for n, e in prompt.items() if e["class_type"] == "SaveImage" and n != "base"]
    changed = (saved(base, result, save) != saved(base, result, "base")).any(axis=2)
    x0, y0, x1, y1 = (4 * n for n in FACE)
    assert changed[y0:y1, x0:x1].mean() > 0.9
    assert changed[410:440, 370:440].mean() > 0.9, "the painted part"
    assert changed.mean() < 0.2
    assert not changed[:, :100].any()
    (preview,) = [n for n, e in prompt.items() if e["class_type"] == "PreviewImage"]
    assert saved(base, result, preview).shape == (128, 128, 3)


def test_another_packs_detector_and_our_refinement(queue, base, inputs):
    prompt = flow("faces_from_detector")
    result = queue(prompt)
    assert result.status == "execution_success", result.error
    (save,) = [n for n, e in prompt.items() if e["class_type"] == "SaveImage" and n != "base"]
    changed = (saved(base, result, save) != saved(base, result, "base")).any(axis=2)
    x0, y0, x1, y1 = (4 * n for n in FACE)
    assert changed[y0:y1, x0:x1].mean() > 0.9
    assert 0.03 < changed.mean() < 0.12


@pytest.mark.parametrize("slot", [1, 2, 3])
def test_boxes_masks_and_segs_go_through_one_socket(slot, queue, put_model):
    """Through validation and executor, as links."""
    put_model("linked.safetensors", scale=4)
    widgets = {
        "source": "auto",
        "crop_factor": 1.5,
        "strength": 1.0,
        "feather": 0.2,
        "min_face": 16,
        "max_faces": 0,
        "score": 0.7,
        "match_color": False,
        "ensemble": False,
        "restore_strength": 0.5,
    }
    sockets = {"image": ["1", 0], "model": ["2", 0], "regions": ["1", slot]}
    model = {"model": "linked.safetensors", "precision": "fp32"}
    prompt = {
        "1": {"class_type": "Boxes", "inputs": {}},
        "2": {"class_type": "Swin2SR_Load", "inputs": model},
        "3": {"class_type": "Swin2SR_FaceRefine", "inputs": sockets | widgets},
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 3]}},
        "5": {"class_type": "PreviewImage", "inputs": {"images": ["3", 4]}},
    }
    result = queue(prompt)
    assert result.status == "execution_success", result.error
    assert list(result.outputs["4"]["text"]) == ["3"]
    assert len(result.outputs["5"]["images"]) == 3
