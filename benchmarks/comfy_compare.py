"""Our nodes beside ComfyUI's own "Upscale Image (using Model)": seconds, memory, difference.

    COMFYUI_DIR=... PYTHON_OF_COMFYUI benchmarks/comfy_compare.py PICTURE CHECKPOINT [--size WxH]
    COMFYUI_DIR=... PYTHON_OF_COMFYUI benchmarks/comfy_compare.py PICTURE classical

Every way runs in a ComfyUI process of its own: a small picture first, to load and warm up, then the
real one, whose time and peak growth of resident memory are shown. The difference is to the network
that spandrel loads, run in fp32 on the whole picture. CHECKPOINT has to have the buffers that
spandrel wants; `classical` is a random network of the classical x4 size.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from comfy_process import UPSCALE_DEFAULTS, PeakOfProcess, Workflow, start
from PIL import Image
from safetensors.torch import load_file, save_file

WAYS = {
    "ComfyUI's own node": {},
    "ours, fp32": {"precision": "fp32"},
    "ours, bf16": {"precision": "bf16"},
    "ours, fp32, staged": {"precision": "fp32", "strategy": "staged"},
    "ours, fp32, tiled": {"precision": "fp32", "strategy": "tiled"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("picture", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("--size", help="cut this much, WxH, from the picture's top left corner")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(one_way(arguments.way, arguments.base)))
        return
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        prepare(base, arguments.picture, arguments.checkpoint, arguments.size)
        started = time.perf_counter()
        reference = whole_picture(base)
        print(f"whole picture by spandrel's network: {time.perf_counter() - started:.1f} s")
        figures = {way: report(way, base, reference) for way in WAYS}
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def prepare(base: Path, picture: Path, checkpoint: str, size: str | None) -> None:
    """A base directory with model.safetensors, in.png and warm.png."""
    for name in ("input", "output", "models/upscale_models"):
        (base / name).mkdir(parents=True)
    with Image.open(picture) as image:
        image = image.convert("RGB")
    if size:
        width, height = (int(n) for n in size.split("x"))
        image = image.crop((0, 0, width, height))
    image.save(base / "input" / "in.png")
    image.crop((0, 0, 32, 32)).save(base / "input" / "warm.png")
    target = base / "models" / "upscale_models" / "model.safetensors"
    if checkpoint != "classical":
        shutil.copy(checkpoint, target)
        return
    from spandrel.architectures.Swin2SR import Swin2SR

    torch.manual_seed(0)
    network = Swin2SR(
        img_size=64,
        window_size=8,
        embed_dim=180,
        depths=[6] * 6,
        num_heads=[6] * 6,
        mlp_ratio=2,
        upscale=4,
        upsampler="pixelshuffle",
    )
    save_file(network.state_dict(), target)


@torch.inference_mode()
def whole_picture(base: Path) -> np.ndarray:
    """h w 3 in 0..1, by the network as it is, on the whole picture."""
    import spandrel

    state = load_file(base / "models" / "upscale_models" / "model.safetensors")
    model = spandrel.ModelLoader().load_from_state_dict(state).eval()
    with Image.open(base / "input" / "in.png") as image:
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)
    return model(pixels.movedim(-1, 0)[None])[0].movedim(0, -1).numpy()


def report(way: str, base: Path, reference: np.ndarray) -> dict[str, float]:
    command = [sys.executable, __file__, "-", "-", "--way", way, "--base", str(base)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{way:20} failed: {done.stderr.strip().splitlines()[-1]}")
        return {}
    result = json.loads(done.stdout.splitlines()[-1])
    difference = np.abs(np.load(base / "result.npy") - reference) * 255
    print(
        f"{way:20} {result['seconds']:7.1f} s ({result['cpu']:.1f} s of CPU)   "
        f"+{result['bytes'] / 2**20:6.0f} MB   "
        f"difference: max {difference.max():.4f}/255, mean {difference.mean():.5f}/255"
    )
    return {**result, "difference": float(difference.max())}


def one_way(way: str, base: Path) -> dict[str, float]:
    """Seconds, of the wall and of all threads, and bytes of one way; leaves result.npy."""
    run = start(base)
    run(workflow(way, "warm.png"))
    started, cpu = time.perf_counter(), time.process_time()
    with PeakOfProcess() as memory:
        image = run(workflow(way, "in.png"))
    seconds = time.perf_counter() - started
    cpu = time.process_time() - cpu
    np.save(base / "result.npy", image[0].float().numpy())
    return {"seconds": seconds, "cpu": cpu, "bytes": memory.bytes}


def workflow(way: str, picture: str) -> Workflow:
    options = dict(WAYS[way])
    flow: Workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": picture}},
        "4": {"class_type": "Keep", "inputs": {"image": ["3", 0]}},
    }
    name = "model.safetensors"
    if not options:
        inputs = {"upscale_model": ["2", 0], "image": ["1", 0]}
        flow["2"] = {"class_type": "UpscaleModelLoader", "inputs": {"model_name": name}}
        flow["3"] = {"class_type": "ImageUpscaleWithModel", "inputs": inputs}
        return flow
    precision = options.pop("precision")
    scale = {"scale": float(network_scale())}
    inputs = {"image": ["1", 0], "model": ["2", 0], **UPSCALE_DEFAULTS, **scale, **options}
    loader = {"model": name, "precision": precision}
    flow["2"] = {"class_type": "Swin2SR_Load", "inputs": loader}
    flow["3"] = {"class_type": "Swin2SR_TiledUpscale", "inputs": inputs}
    return flow


def network_scale() -> int:
    """The enlargement of one pass of the checkpoint, from its parameters' shapes."""
    import folder_paths  # noqa: TID251
    from safetensors import safe_open

    path = folder_paths.get_full_path("upscale_models", "model.safetensors")
    with safe_open(path, "pt") as file:
        names = set(file.keys())
        if "conv_before_upsample.0.weight" in names:
            return 4 if "upsample.2.weight" in names else 2
        return int((file.get_slice("upsample.0.weight").get_shape()[0] / 3) ** 0.5)


if __name__ == "__main__":
    main()
