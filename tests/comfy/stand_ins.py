"""Nodes of other packs, and a look at what ours keeps: a custom node file of the tests' ComfyUI."""

import gc
import sys
from collections import namedtuple

import numpy as np
import torch
from aiohttp import web
from server import PromptServer  # ComfyUI's  # pyright: ignore[reportMissingImports]

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
        return (lambda image: [(46, 17, 67, 42)], None)


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


NODE_CLASS_MAPPINGS = {
    "UltralyticsDetectorProvider": Provider,
    "BboxDetectorSEGS": DetectorToSegs,
    "Boxes": Boxes,
}


@PromptServer.instance.routes.get("/kept_models")
async def kept_models(_request):
    """The files of the models that are in memory: of our loader, and of ComfyUI's manager."""
    import comfy.model_management as mm

    gc.collect()
    ours = next(m for name, m in sys.modules.items() if name.endswith("swin2sr.nodes.load"))
    managed = mm.loaded_models()
    kept = {key[0]: model.patcher in managed for key, model in ours._alive.items()}
    return web.json_response(kept)
