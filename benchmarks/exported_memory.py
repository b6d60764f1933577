"""What an exported file takes in onnxruntime beside the plan's forecast (Linux: resident memory).

    python benchmarks/exported_memory.py FILE.onnx [FILE.onnx ...] [--cases 128:128 512:128]

A case is the picture's side and the tile's, in LR pixels. Each runs in a process of its own: after
a first picture of 16x16 the process has what it always has; the rest is the picture's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

CASES = ("128:128", "256:256", "384:384", "512:128", "512:256")


def status_bytes(field: str) -> int:
    """Of this process: VmRSS (now) or VmHWM (the most since `forget_peak`)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    raise ValueError(field)


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def measured(path: str, side: int, tile: int) -> dict[str, object]:
    """One picture, planned and run."""
    import torch

    import swin2sr_core as s2

    model = s2.load_model(path)
    s2.upscale(model, torch.rand(1, 3, 16, 16), model.scale)
    image = torch.rand(1, 3, side, side)
    plan = s2.make_plan(model, side, side, model.scale, tile=tile)
    forget_peak()
    before = status_bytes("VmRSS")
    kept = s2.upscale(model, image, plan=plan)  # noqa: F841 - its picture counts
    taken = status_bytes("VmHWM") - before
    forecast = plan.passes[-1].total_bytes - image.numel() * 4  # which was there before
    tiles = plan.passes[-1].pieces
    return {"tiles": tiles, "measured": taken, "forecast": forecast, "ratio": forecast / taken}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--json", action="store_true", help="of one file and case, in this process")
    args = parser.parse_args()
    if args.json:
        side, tile = map(int, args.cases[0].split(":"))
        print(json.dumps(measured(args.files[0], side, tile)))
        return
    for path in args.files:
        for case in args.cases:
            command = [sys.executable, __file__, path, "--cases", case, "--json"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
            print(
                f"{Path(path).stem}, {case.replace(':', ' px in tiles of ')}: {found['tiles']}, "
                f"measured {found['measured'] / 1e6:.0f} MB, forecast "
                f"{found['forecast'] / 1e6:.0f} MB, {found['ratio']:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
