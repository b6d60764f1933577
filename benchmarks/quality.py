"""PSNR on Set5 as papers measure it (Y of BT.601, border cropped by the scale), bf16 beside fp32.

    python benchmarks/quality.py --set5 DIR --lightweight FILE [FILE ...]

DIR holds HR, LR_x2 and LR_x4; FILE is the official lightweight x2 checkpoint, in any format.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from swin2sr_core.metrics import psnr_y, rounded
from swin2sr_core.model import Model, load_model
from swin2sr_core.upscaling import upscale

NAMES = ("baby", "bird", "butterfly", "head", "woman")


def read(path: Path) -> Tensor:
    """1 x 3 x H x W in 0..1."""
    pixels = np.array(Image.open(path).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


def between(a: Tensor, b: Tensor) -> float:
    """PSNR between two outputs, on RGB, in dB."""
    return float(-10 * torch.log10((a - b).double().square().mean()))


def two_passes_with_rounding(model: Model, image: Tensor) -> Tensor:
    """As a user would who saves the x2 picture and upscales it again."""
    return upscale(model, rounded(upscale(model, image, 2).image), 2).image


def evaluate(label: str, model: Model, folder: Path, scale: int, reference: Model | None) -> None:
    """One line: per picture and mean; with `reference`, how close the outputs are to its."""
    scores, distances = [], []
    for name in NAMES:
        low = read(folder / f"LR_x{scale}" / f"{name}x{scale}.png")
        output = upscale(model, low, scale).image
        scores.append(psnr_y(output, read(folder / "HR" / f"{name}.png"), scale))
        if reference is not None:
            distances.append(between(output, upscale(reference, low, scale).image))
    far = f"  to fp32: {' '.join(f'{d:.1f}' for d in distances)} dB" if distances else ""
    print(f"{label:<44}{np.mean(scores):7.3f} dB  ({' '.join(f'{s:.2f}' for s in scores)}){far}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set5", type=Path, required=True)
    parser.add_argument("--lightweight", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    for path in (*args.lightweight, Path("compact-x4")):
        name = str(path)
        exact, narrow = load_model(name, "fp32"), load_model(name, "bf16")
        for scale in sorted({exact.scale, 4}):
            label = f"{path.suffix or name} x{scale}"
            evaluate(f"{label} fp32", exact, args.set5, scale, None)
            evaluate(f"{label} bf16", narrow, args.set5, scale, exact)
        if exact.scale == 2:
            scores = []
            for each in NAMES:
                low = read(args.set5 / "LR_x4" / f"{each}x4.png")
                output = two_passes_with_rounding(exact, low)
                scores.append(psnr_y(output, read(args.set5 / "HR" / f"{each}.png"), 4))
            print(f"{label + ' fp32, rounded between passes':<44}{np.mean(scores):7.3f} dB")
    scores = []
    for each in NAMES:
        low = Image.open(args.set5 / "LR_x4" / f"{each}x4.png").convert("RGB")
        size = (low.width * 4, low.height * 4)
        pixels = np.array(low.resize(size, Image.Resampling.BICUBIC))
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        scores.append(psnr_y(image, read(args.set5 / "HR" / f"{each}.png"), 4))
    print(f"{'bicubic x4':<44}{np.mean(scores):7.3f} dB")


if __name__ == "__main__":
    main()
