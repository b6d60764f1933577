"""Pictures enlarged four times by bicubic and by models, side by side, to look at.

    python benchmarks/contact_sheet.py sheet.png PICTURE... [--model NAME|PATH ...] [--crop 64]

Of each picture the most detailed square of --crop LR pixels is shown, or the one at --at X Y.
Before that, --jpeg QUALITY compresses it, to see what a model makes of blocks and ringing.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import swin2sr_core as s2
from swin2sr_headless.cli.evaluation import read_picture, resized, to_tensor

SCALE = 4
MARGIN, HEADING = 6, 22
Pixels = NDArray[np.uint8]


def detailed_square(pixels: Pixels, side: int) -> tuple[int, int]:
    """x, y of the square with the largest mean step between neighbours."""
    steps = np.abs(np.diff(pixels.astype(float).mean(2), axis=1))
    sums = np.pad(steps, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    side_x, side_y = min(side, sums.shape[1] - 1), min(side, sums.shape[0] - 1)
    windows = sums[side_y:, side_x:] - sums[:-side_y, side_x:]
    windows = windows - sums[side_y:, :-side_x] + sums[:-side_y, :-side_x]
    y, x = np.unravel_index(int(windows.argmax()), windows.shape)
    return int(x), int(y)


def enlarged(pixels: Pixels, model: s2.Model | None) -> Pixels:
    """x4 by the model, or by bicubic interpolation."""
    if model is None:
        return resized(pixels, SCALE)
    image = s2.upscale(model, to_tensor(pixels), SCALE).image[0]
    return (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def sheet(rows: list[tuple[str, list[Pixels]]], titles: list[str]) -> Image.Image:
    """One row per picture, one column per way of enlarging."""
    height, width = rows[0][1][0].shape[:2]
    step_x, step_y = width + MARGIN, height + HEADING
    canvas = Image.new("RGB", (len(titles) * step_x - MARGIN, len(rows) * step_y), (24, 24, 24))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for j, (name, cells) in enumerate(rows):
        for i, cell in enumerate(cells):
            draw.text((i * step_x + 4, j * step_y + 2), f"{name}  {titles[i]}", (235,) * 3, font)
            canvas.paste(Image.fromarray(cell), (i * step_x, j * step_y + HEADING))
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--model", nargs="*", default=["compact-x4"])
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--at", type=int, nargs=2, metavar=("X", "Y"))
    parser.add_argument("--jpeg", type=int, metavar="QUALITY")
    args = parser.parse_args()
    models = [None, *(s2.load_model(name, "fp32") for name in args.model)]
    rows = []
    for path in args.pictures:
        pixels = read_picture(path)
        if args.jpeg is not None:
            Image.fromarray(pixels).save(file := io.BytesIO(), "JPEG", quality=args.jpeg)
            pixels = np.asarray(Image.open(file))
        x, y = (SCALE * each for each in args.at or detailed_square(pixels, args.crop))
        side = SCALE * args.crop
        cells = [enlarged(pixels, model)[y : y + side, x : x + side] for model in models]
        rows.append((path.stem, cells))
    titles = ["bicubic", *(model.name for model in models if model)]
    sheet(rows, titles).save(args.output)


if __name__ == "__main__":
    main()
