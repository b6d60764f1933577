"""The example workflows for faces, run in a real ComfyUI; a stand-in takes Impact Pack's part."""

import importlib
import json
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "example_workflows" / "api"
FACE = (46, 17, 67, 42)

SEG = namedtuple(
    "SEG", "cropped_image cropped_mask confidence crop_region bbox label control_net_wrapper"
)


class Provider:
    """In the place of UltralyticsDetectorProvider."""

    RETURN_TYPES = ("BBOX_DETECTOR", "SEGM_DETECTOR")
    FUNCTION = "give"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model_name": (["bbox/face_yolov8m.pt"],)}}

    def give(self, model_name):
        return (lambda image: [FACE], None)


class DetectorToSegs:
    """In the place of BboxDetectorSEGS: the same inputs, and SEGS as Impact Pack makes them."""

    RETURN_TYPES = ("SEGS",)
    FUNCTION = "find"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "bbox_detector": ("BBOX_DETECTOR",),
                "image": ("IMAGE",),
                "threshold": ("FLOAT", {"default": 0.5}),
                "dilation": ("INT", {"default": 10, "min": -512, "max": 512}),
                "crop_factor": ("FLOAT", {"default": 3.0}),
                "drop_size": ("INT", {"default": 10}),
                "labels": ("STRING", {"default": "all"}),
            }
        }

    def find(self, bbox_detector, image, threshold, dilation, crop_factor, drop_size, labels):
        items = []
        for x0, y0, x1, y1 in bbox_detector(image):
            mask = np.ones((y1 - y0, x1 - x0), np.float32)
            box = [np.int64(n) for n in (x0, y0, x1, y1)]
            items.append(SEG(None, mask, np.float32(0.9), box, tuple(box), "face", None))
        return ((tuple(image.shape[1:3]), items),)


@pytest.fixture
def impact(host):
    if not host.real:
        pytest.skip("no real ComfyUI: set COMFYUI_DIR")
    nodes = importlib.import_module("nodes")  # ComfyUI's

    ours = {"UltralyticsDetectorProvider": Provider, "BboxDetectorSEGS": DetectorToSegs}
    nodes.NODE_CLASS_MAPPINGS.update(ours)
    yield
    for name in ours:
        del nodes.NODE_CLASS_MAPPINGS[name]


@pytest.fixture
def inputs(host, base, data_folder, put_model, pack):
    """A portrait with something painted on it, a stand-in for the better model, the detector."""
    if not host.real:
        pytest.skip("no real ComfyUI: set COMFYUI_DIR")
    with Image.open(data_folder / "images" / "astronaut.png") as image:
        small = image.convert("RGBA").resize((128, 128), Image.Resampling.BICUBIC)
    small.paste((200, 60, 20, 0), (90, 100, 114, 112))
    small.save(base / "input" / "example.png")
    put_model("Swin2SR_Lightweight_X2_64.safetensors")
    yield
    pack("nodes.face_source")._detectors.clear()


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


def test_another_packs_detector_and_our_refinement(queue, base, inputs, impact):
    prompt = flow("faces_from_detector")
    result = queue(prompt)
    assert result.status == "execution_success", result.error
    (save,) = [n for n, e in prompt.items() if e["class_type"] == "SaveImage" and n != "base"]
    changed = (saved(base, result, save) != saved(base, result, "base")).any(axis=2)
    x0, y0, x1, y1 = (4 * n for n in FACE)
    assert changed[y0:y1, x0:x1].mean() > 0.9
    assert 0.03 < changed.mean() < 0.12


class Boxes:
    """Hand-made boxes for a batch of three frames with 0, 1 and 2 faces, as ComfyUI has them."""

    RETURN_TYPES = ("IMAGE", "BOUNDING_BOX", "MASK", "SEGS")
    FUNCTION = "give"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    def give(self):
        pictures = torch.rand(3, 48, 64, 3, generator=torch.Generator().manual_seed(0))
        box = {"x": 8.5, "y": 6.0, "width": 18.0, "height": 20.5, "label": "face", "score": 0.9}
        boxes = [[], [box], [box, {**box, "x": 38.0, "y": 20.0}]]
        mask = torch.zeros(1, 48, 64)
        mask[:, 10:30, 20:44] = 1
        seg = SEG(None, np.ones((9, 9)), np.ones(1), [8, 8, 40, 40], (12, 12, 30, 30), "A", None)
        return pictures, boxes, mask, ((48, 64), [seg])


@pytest.mark.parametrize("slot", [1, 2, 3])
def test_boxes_masks_and_segs_go_through_one_socket(slot, queue, base, put_model, host):
    """Through validation and executor, as links."""
    if not host.real:
        pytest.skip("no real ComfyUI: set COMFYUI_DIR")
    nodes = importlib.import_module("nodes")  # ComfyUI's

    put_model("linked.safetensors", scale=4)
    nodes.NODE_CLASS_MAPPINGS["Boxes"] = Boxes
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
    try:
        result = queue(prompt)
    finally:
        del nodes.NODE_CLASS_MAPPINGS["Boxes"]
    assert result.status == "execution_success", result.error
    assert list(result.outputs["4"]["text"]) == ["3"]
    assert len(result.outputs["5"]["images"]) == 3
