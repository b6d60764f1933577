"""Other packs' nodes with our UPSCALE_MODEL, in a real ComfyUI: no error, no black picture.

    COMFYUI_DIR=... PYTHON_OF_COMFYUI benchmarks/other_packs.py --kjnodes DIR --ultimate DIR

DIR are checkouts of ComfyUI-KJNodes, whose batched upscaler asks for a number type, and of
ComfyUI_UltimateSDUpscale with its submodule, whose own upscaling step is run without the diffusion
that follows. Each row is one precision of ours and one that the other pack asks for: its largest
difference from our own node at fp32, in 8-bit steps.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from comfyui_server import OPENER, running

STEP = '''
import sys

class UpscalingStep:
    """Ultimate SD Upscale's first step, as its script calls it."""
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "go"
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"upscale_model": ("UPSCALE_MODEL",), "image": ("IMAGE",)}}
    def go(self, upscale_model, image):
        sys.path.insert(0, FOLDER)
        from modules import shared
        from modules.upscaler import Upscaler
        from usdu_utils import pil_to_tensor, tensor_to_pil
        shared.actual_upscaler, shared.batch_as_tensor = upscale_model, image
        return (pil_to_tensor(Upscaler().upscale(tensor_to_pil(image), 4)),)

NODE_CLASS_MAPPINGS = {"UpscalingStep": UpscalingStep}
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--kjnodes", type=Path, required=True)
    parser.add_argument("--ultimate", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        prepare(base, arguments.kjnodes, arguments.ultimate)
        with running(base) as url:
            table(url, base)


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def prepare(base: Path, *packs: Path) -> None:
    (base / "custom_nodes").mkdir()
    (base / "input").mkdir()
    for pack in packs:
        shutil.copytree(pack, base / "custom_nodes" / pack.name)
    folder = base / "custom_nodes" / packs[-1].name
    (base / "custom_nodes" / "upscaling_step.py").write_text(f"FOLDER = {str(folder)!r}\n{STEP}")
    y, x = np.mgrid[:48, :64]
    waves = [127 + 120 * np.sin(x / a + y / b) for a, b in ((5, 9), (9, 4), (7, 7))]
    Image.fromarray(np.stack(waves, -1).astype(np.uint8)).save(base / "input" / "picture.png")


def table(url: str, base: Path) -> None:
    expected = run(url, base, "fp32", "ImageUpscaleWithModel", {"upscale_model": 0, "image": 1})
    for ours, theirs in itertools.product(
        ("auto", "fp32", "fp16", "bf16", "int8"), ("float32", "float16", "bfloat16")
    ):
        inputs = {"upscale_model": 0, "images": 1, "per_batch": [4], "precision": [theirs]}
        found = run(url, base, ours, "ImageUpscaleWithModelBatched", inputs)
        show(f"KJNodes, {theirs}", ours, found, expected)
    for ours in ("auto", "fp32", "fp16", "bf16", "int8"):
        found = run(url, base, ours, "UpscalingStep", {"upscale_model": 0, "image": 1})
        show("Ultimate SD Upscale", ours, found, expected)


def show(who: str, ours: str, found: np.ndarray | str, expected: np.ndarray | str) -> None:
    if isinstance(found, str) or isinstance(expected, str):
        print(f"{who:24} {ours:6} {found}")
        return
    difference = np.abs(found.astype(int) - expected).max()
    print(f"{who:24} {ours:6} {found.shape} mean {found.mean():6.1f}  differs by {difference}")


def run(
    url: str, base: Path, precision: str, node: str, inputs: dict[str, Any]
) -> np.ndarray | str:
    """What comes out, or what went wrong. Inputs: 0 is the model, 1 the picture, [value]."""
    places = {0: ["1", 0], 1: ["2", 0]}
    wired = {k: places[v] if isinstance(v, int) else v[0] for k, v in inputs.items()}
    model = {"model": "compact-x4", "precision": precision}
    prompt = {
        "1": {"class_type": "Swin2SR_Load", "inputs": model},
        "2": {"class_type": "LoadImage", "inputs": {"image": "picture.png"}},
        "3": {"class_type": node, "inputs": wired},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
    }
    entry = queued(url, prompt)
    if isinstance(entry, str):
        return entry
    failed = dict(entry["status"]["messages"]).get("execution_error")
    if failed:
        return f"{failed['exception_type']}: {failed['exception_message']}"
    (file,) = entry["outputs"]["4"]["images"]
    with Image.open(base / "output" / file["filename"]) as image:
        return np.asarray(image)


def queued(url: str, prompt: dict[str, Any]) -> dict[str, Any] | str:
    data = json.dumps({"prompt": prompt}).encode()
    request = urllib.request.Request(f"{url}/prompt", data, {"Content-Type": "application/json"})
    try:
        with OPENER.open(request) as reply:
            identity = json.load(reply)["prompt_id"]
    except urllib.error.HTTPError as error:
        return error.read().decode()[:300]
    while True:
        with OPENER.open(f"{url}/history/{identity}") as reply:
            history = json.load(reply)
        if identity in history:
            return history[identity]
        time.sleep(0.05)


if __name__ == "__main__":
    main()
