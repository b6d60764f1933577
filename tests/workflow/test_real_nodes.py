"""The embedded host's nodes beside the real ones: copies to the bit, arithmetic to 1e-6.

Needs COMFYUI_DIR, and a Python that runs that ComfyUI: this one, or SWIN2SR_COMFYUI_PYTHON.
"""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from swin2sr_headless.workflow.execution import (
    core_nodes,
    image_nodes,
    model_nodes,
    resizing_nodes,
    value_nodes,
)
from swin2sr_headless.workflow.execution.dynamic_inputs import nested
from swin2sr_headless.workflow.hosts.private_server import python_of

from .real_nodes import given

GROUPS = (core_nodes, image_nodes, model_nodes, resizing_nodes, value_nodes)
CLASSES = {node.__name__: node for group in GROUPS for node in group.NODES}

EXACT = [
    ("GetImageSize", {"image": "image"}),
    ("MaskToImage", {"mask": "mask"}),
    ("ImageToMask", {"image": "image", "channel": "blue"}),
    ("ImageToMask", {"image": "image4", "channel": "alpha"}),
    ("InvertMask", {"mask": "mask"}),
    ("ImageInvert", {"image": "image"}),
    ("ImageCrop", {"image": "image", "width": 10, "height": 40, "x": 30, "y": 4}),
    ("ImageCrop", {"image": "image", "width": 3, "height": 3, "x": 400, "y": 400}),
    *(
        ("ImagePadForOutpaint", {"image": "image", **dict(zip(("left", "top", "right", "bottom",
                                                               "feathering"), sides, strict=True))})
        for sides in ((8, 16, 0, 3, 5), (0, 0, 0, 0, 7), (1, 1, 1, 1, 40), (8, 8, 8, 8, 0))
    ),
    ("PrimitiveInt", {"value": 5}),
    ("PrimitiveBoolean", {"value": True}),
    ("PrimitiveString", {"value": "t"}),
    ("ComfySwitchNode", {"switch": True, "on_true": "image", "on_false": "mask"}),
    ("ComfySwitchNode", {"switch": False, "on_true": "image", "on_false": "mask"}),
]  # fmt: skip
WAYS = [
    {"resize_type": "scale dimensions", "width": 50, "height": 20, "crop": "center"},
    {"resize_type": "scale dimensions", "width": 0, "height": 31, "crop": "disabled"},
    {"resize_type": "scale dimensions", "width": 0, "height": 0, "crop": "disabled"},
    {"resize_type": "scale by multiplier", "multiplier": 1.7},
    {"resize_type": "scale longer dimension", "longer_size": 51},
    {"resize_type": "scale shorter dimension", "shorter_size": 51},
    {"resize_type": "scale width", "width": 19},
    {"resize_type": "scale height", "height": 19},
    {"resize_type": "scale total pixels", "megapixels": 0.01},
    {"resize_type": "match size", "match": "image2", "crop": "center"},
    {"resize_type": "match size", "match": "mask2", "crop": "disabled"},
    *({"resize_type": "scale to multiple", "multiple": n} for n in (1, 5, 8, 12, 16, 99)),
]
"""Of ResizeImageMaskNode."""
CLOSE = [
    *(
        ("ResizeImageMaskNode", {"input": what, "scale_method": method,
                                 **{n if n == "resize_type" else f"resize_type.{n}": v
                                    for n, v in way.items()}})
        for what in ("image", "mask", "image4")
        for method, ways in (("area", WAYS), ("lanczos", WAYS[::3]), ("bicubic", WAYS[1::4]))
        for way in ways
    ),
    ("BatchImagesNode", {"images.image0": "image", "images.image1": "image2",
                         "images.image2": "image4"}),
    ("BatchImagesNode", {"images.image0": "image4", "images.image1": "image"}),
    *(
        ("ImageBlend", {"image1": "image", "image2": second, "blend_factor": 0.3,
                        "blend_mode": mode})
        for mode in ("normal", "multiply", "screen", "overlay", "soft_light", "difference")
        for second in ("image2", "image4")
    ),
    *(
        ("ImageScaleToTotalPixels", {"image": "image", "upscale_method": method,
                                     "megapixels": 0.02})
        for method in ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
    ),
    ("ImageScaleToMaxDimension", {"image": "image", "upscale_method": "bicubic",
                                  "largest_size": 50}),
    ("ImageScaleToMaxDimension", {"image": "image2", "upscale_method": "lanczos",
                                  "largest_size": 50}),
    ("ImageUpscaleWithModel", {"upscale_model": "model", "image": "image"}),
    ("ImageUpscaleWithModel", {"upscale_model": "model", "image": "image_large"}),
]  # fmt: skip
CASES = EXACT + CLOSE


@pytest.fixture(scope="module")
def theirs(comfyui, tmp_path_factory) -> list:
    """What the real nodes give, case by case; None for classes that this ComfyUI does not have."""
    output = tmp_path_factory.mktemp("theirs") / "results.pt"
    program = Path(__file__).with_name("real_nodes.py")
    newer = 'version__ = "0.3.64"' not in (comfyui / "comfyui_version.py").read_text("utf-8")
    steps = {"resolution_steps": 1} if newer else {}
    cases = [(c, i | (steps if c == "ImageScaleToTotalPixels" else {})) for c, i in CASES]
    done = subprocess.run(
        [python_of(comfyui), str(program), str(comfyui), json.dumps(cases), str(output)],
        cwd=comfyui,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(output, weights_only=True)


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{CASES[n][0]}-{n}")
def test_a_node_gives_what_the_real_one_gives(number, theirs):
    class_type, inputs = CASES[number]
    if theirs[number] is None:
        pytest.skip("this ComfyUI does not have the class")
    node = CLASSES[class_type]
    ours = node.EXECUTE_NORMALIZED(**nested(node.GET_SCHEMA(), given(inputs))).result
    assert len(ours) == len(theirs[number])
    for our, their in zip(ours, theirs[number], strict=True):
        if not isinstance(their, torch.Tensor):
            assert our == their
            continue
        assert (our.shape, our.dtype) == (their.shape, their.dtype)
        if number < len(EXACT):
            assert torch.equal(our, their)
        else:
            assert (our - their).abs().max() <= 1e-6
