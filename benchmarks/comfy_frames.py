"""Peak memory of a batch of video frames at 2x, besides the finished frames.

    COMFYUI_DIR=... PYTHON_OF_COMFYUI benchmarks/comfy_frames.py [--frames 4 16 32] [--side 256]

Each number of frames runs in a ComfyUI process of its own. The growth of resident memory during the
run, less the output, should not depend on how many frames there are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from comfy_process import UPSCALE_DEFAULTS, PeakOfProcess, Workflow, start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[4, 16, 32])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.side)))
        return
    for frames in arguments.frames:
        command = [sys.executable, __file__, "--one", str(frames), "--side", str(arguments.side)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{frames:4} frames: {result['seconds']:6.1f} s, output "
            f"{result['output'] / 2**20:6.1f} MB, growth besides it "
            f"{(result['bytes'] - result['output']) / 2**20:6.1f} MB"
        )


def measure(frames: int, side: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for name in ("input", "output", "models/upscale_models"):
            (base / name).mkdir(parents=True)
        run = start(base)
        import nodes

        nodes.NODE_CLASS_MAPPINGS["Frames"] = Frames
        run(workflow(1, side))
        # The batch exists before the run that is measured.
        run(only_frames(frames, side))
        started = time.perf_counter()
        with PeakOfProcess() as memory:
            output = run(workflow(frames, side))
        return {
            "seconds": time.perf_counter() - started,
            "bytes": memory.bytes,
            "output": output.nbytes,
        }


class Frames:
    """A batch of noise."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "make"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"count": ("INT", {"max": 10000}), "side": ("INT", {"max": 10000})}}

    def make(self, count: int, side: int) -> tuple[torch.Tensor]:
        return (torch.rand(count, side, side, 3),)


def only_frames(count: int, side: int) -> Workflow:
    return {
        "1": {"class_type": "Frames", "inputs": {"count": count, "side": side}},
        "2": {"class_type": "Swin2SR_Load", "inputs": LOADER},
        "4": {"class_type": "Keep", "inputs": {"image": ["1", 0]}},
    }


LOADER = {"model": "compact-x4", "precision": "auto"}


def workflow(count: int, side: int) -> Workflow:
    inputs = {"image": ["1", 0], "model": ["2", 0], **UPSCALE_DEFAULTS, "scale": 2.0}
    flow = only_frames(count, side)
    flow["3"] = {"class_type": "Swin2SR_TiledUpscale", "inputs": inputs}
    flow["4"] = {"class_type": "Keep", "inputs": {"image": ["3", 0]}}
    return flow


if __name__ == "__main__":
    main()
