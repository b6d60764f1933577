"""How soon a long run ends after cancel is pressed, at several moments; the next run has to work.

COMFYUI_DIR=... PYTHON_OF_COMFYUI benchmarks/comfy_cancel.py PICTURE [CHECKPOINT] [--after 1 3 6]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from pathlib import Path

from comfy_process import UPSCALE_DEFAULTS, Workflow, start
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--after", type=float, nargs="+", default=[1, 3, 6])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for name in ("input", "output", "models/upscale_models"):
            (base / name).mkdir(parents=True)
        with Image.open(arguments.picture) as image:
            image.convert("RGB").save(base / "input" / "in.png")
            image.convert("RGB").crop((0, 0, 16, 16)).save(base / "input" / "small.png")
        model = "compact-x4"
        if arguments.checkpoint:
            model = arguments.checkpoint.name
            shutil.copy(arguments.checkpoint, base / "models" / "upscale_models" / model)
        run = start(base)
        for seconds in arguments.after:
            cancel_after(seconds, run, model)


def cancel_after(seconds: float, run, model: str) -> None:
    import nodes

    pressed = []

    def press() -> None:
        pressed.append(time.monotonic())
        nodes.interrupt_processing()

    timer = threading.Timer(seconds, press)
    timer.start()
    run(workflow("in.png", model))
    ended = time.monotonic()
    timer.cancel()
    kinds = [kind for kind, _ in run.executor.status_messages]
    if "execution_interrupted" not in kinds:
        print(f"after {seconds:g} s: the run was over before")
        return
    image = run(workflow("small.png", model))
    works = "works" if image is not None else "FAILS"
    print(f"after {seconds:g} s: ended {ended - pressed[0]:.2f} s later; the next run {works}")


def workflow(picture: str, model: str) -> Workflow:
    inputs = {"image": ["1", 0], "model": ["2", 0], **UPSCALE_DEFAULTS}
    loader = {"model": model, "precision": "fp32"}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": picture}},
        "2": {"class_type": "Swin2SR_Load", "inputs": loader},
        "3": {"class_type": "Swin2SR_TiledUpscale", "inputs": inputs},
        "4": {"class_type": "Keep", "inputs": {"image": ["3", 0]}},
    }


if __name__ == "__main__":
    main()
