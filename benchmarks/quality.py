"""PSNR on Set5 as papers measure it (Y of BT.601, border cropped by the scale), by precision.

    python benchmarks/quality.py --set5 DIR --lightweight FILE [FILE ...] [--pictures FILE ...]
                                 [--precision bf16 fp16 int8] [--names bird ...]

DIR holds HR, LR_x2 and LR_x4; FILE is the official lightweight x2 checkpoint, in any format.
--pictures are others, of which nobody has the original: the middle of each is upscaled in every
precision, and compared with fp32. fp16 takes minutes on a CPU that has no fp16 of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from swin2sr_core.engine.upscale import upscale
from swin2sr_core.models.model import Model, load_model
from swin2sr_core.pictures.metrics import psnr_y, rounded

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


def evaluate(
    label: str, models: dict[str, Model], folder: Path, scale: int, names: list[str]
) -> None:
    """A line per precision, fp32 first: PSNR-Y of each picture, the mean, distances to fp32."""
    low = {name: read(folder / f"LR_x{scale}" / f"{name}x{scale}.png") for name in names}
    high = {name: read(folder / "HR" / f"{name}.png") for name in names}
    exact: dict[str, Tensor] = {}
    mean = 0.0
    for precision, model in models.items():
        outputs = {name: upscale(model, image, scale).image for name, image in low.items()}
        scores = [psnr_y(output, high[name], scale) for name, output in outputs.items()]
        line = f"{label + ' ' + precision:<28}{np.mean(scores):7.3f} dB"
        if exact:
            far = [between(output, exact[name]) for name, output in outputs.items()]
            line += f"  {np.mean(scores) - mean:+.4f}  to fp32: {_listed(far)} dB"
        else:
            exact, mean = outputs, float(np.mean(scores))
            line += f"  ({_listed(scores)})"
        print(line, flush=True)


def compare(label: str, models: dict[str, Model], paths: list[Path], side: int = 128) -> None:
    """A line per precision: how far its output is from fp32's, on Y and on RGB."""
    exact: dict[Path, Tensor] = {}
    for precision, model in models.items():
        luma, colour = [], []
        for path in paths:
            image = read(path)
            top, left = (max(0, (size - side) // 2) for size in image.shape[-2:])
            image = image[..., top : top + side, left : left + side]
            output = upscale(model, image, model.scale).image
            if not bool(torch.isfinite(output).all()):
                raise SystemExit(f"{path.name} in {precision} has values that are not finite")
            if precision == "fp32":
                exact[path] = output
            else:
                luma.append(psnr_y(output, rounded(exact[path]), model.scale))
                colour.append(between(output, exact[path]))
        if luma:
            least = f"at least {min(luma):.1f} dB on Y (8 bits), {min(colour):.1f} dB on RGB"
            print(f"{label} {precision} to fp32: {least} ({_listed(colour)})", flush=True)


def _listed(values: list[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set5", type=Path, required=True)
    parser.add_argument("--lightweight", type=Path, nargs="*", default=[])
    parser.add_argument("--pictures", type=Path, nargs="*", default=[])
    parser.add_argument("--precision", nargs="*", default=["bf16", "int8"])
    parser.add_argument("--names", nargs="+", choices=NAMES, default=list(NAMES))
    args = parser.parse_args()
    for path in (*args.lightweight, Path("compact-x4")):
        name = str(path)
        models = {each: load_model(name, each) for each in ("fp32", *args.precision)}
        exact = models["fp32"]
        for scale in sorted({exact.scale, 4}):
            label = f"{path.suffix or name} x{scale}"
            evaluate(label, models, args.set5, scale, args.names)
        if args.pictures:
            compare(path.suffix or name, models, args.pictures)
        if exact.scale == 2:
            scores = []
            for each in args.names:
                low = read(args.set5 / "LR_x4" / f"{each}x4.png")
                output = two_passes_with_rounding(exact, low)
                scores.append(psnr_y(output, read(args.set5 / "HR" / f"{each}.png"), 4))
            print(f"{label + ' fp32, rounded between passes':<44}{np.mean(scores):7.3f} dB")
    scores = []
    for each in args.names:
        low = Image.open(args.set5 / "LR_x4" / f"{each}x4.png").convert("RGB")
        size = (low.width * 4, low.height * 4)
        pixels = np.array(low.resize(size, Image.Resampling.BICUBIC))
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        scores.append(psnr_y(image, read(args.set5 / "HR" / f"{each}.png"), 4))
    print(f"{'bicubic x4':<44}{np.mean(scores):7.3f} dB")


if __name__ == "__main__":
    main()
