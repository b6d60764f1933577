"""The gallery in examples/: six kinds of pictures, bicubic beside every bundled model.

    python benchmarks/gallery.py            # examples/gallery/*.webp and examples/before_after.webp
    python benchmarks/gallery.py --inputs   # first make the small pictures again (scikit-image)

The inputs lie in examples/inputs/; examples/README.md says where each is from.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from contact_sheet import enlarged
from PIL import Image, ImageDraw, ImageFont

import swin2sr_core as s2
from swin2sr_core.models.catalog import CATALOG
from swin2sr_headless.degradation.chain import STRENGTHS, worsened
from swin2sr_headless.degradation.drawn import drawn_picture

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
KINDS = ("photograph", "portrait", "line_art", "text", "texture", "old_photograph")
SIDE, SCALE = 128, 4
HEADING, GAP = 22, 4
PAPER, INK = (24, 24, 24), (235, 235, 235)
FRAMES, PAUSE = 24, 60  # milliseconds a frame
MODELS = [entry.name for entry in CATALOG if entry.bundled and entry.kind == "upscaler"]
TEXT = """\
No tiles, no seams.
Swin2SR reads the whole
picture, block by block,
within the memory that
you give it.  x2 x4 x8
0123456789  (4.5:1) @ &"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", action="store_true", help="make the inputs again, too")
    if parser.parse_args().inputs:
        make_inputs()
    (EXAMPLES / "gallery").mkdir(exist_ok=True)
    models = [s2.load_model(name) for name in MODELS]
    for kind in KINDS:
        with Image.open(EXAMPLES / "inputs" / f"{kind}.png") as file:
            picture = file.convert("RGB")
        cells = [("bicubic", bicubic(picture))]
        pixels = np.asarray(picture)
        cells += [(m.name, Image.fromarray(enlarged(pixels, m))) for m in models]
        sheet(cells).save(EXAMPLES / "gallery" / f"{kind}.webp", quality=88, method=6)
        if kind == "portrait":
            Wipe(cells[0][1], cells[1][1]).save_to(EXAMPLES / "before_after.webp")


def bicubic(picture: Image.Image) -> Image.Image:
    size = picture.width * SCALE, picture.height * SCALE
    return picture.resize(size, Image.Resampling.BICUBIC)


def sheet(cells: Iterable[tuple[str, Image.Image]]) -> Image.Image:
    """The pictures in a row, each under its name."""
    cells = list(cells)
    width, height = cells[0][1].size
    canvas = Image.new("RGB", (len(cells) * (width + GAP) - GAP, height + HEADING), PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(15)
    for at, (name, picture) in enumerate(cells):
        draw.text((at * (width + GAP) + 4, 1), name, INK, font)
        canvas.paste(picture, (at * (width + GAP), HEADING))
    return canvas


class Wipe:
    """A divider that goes there and back over two pictures of one size."""

    def __init__(self, before: Image.Image, after: Image.Image) -> None:
        swing = (1 - np.cos(np.linspace(0, 2 * np.pi, FRAMES, endpoint=False))) / 2
        self.frames = [self._frame(before, after, share) for share in 0.06 + 0.88 * swing]

    def _frame(self, before: Image.Image, after: Image.Image, share: float) -> Image.Image:
        x = round(share * before.width)
        frame = after.copy()
        frame.paste(before.crop((0, 0, x, before.height)), (0, 0))
        draw, font = ImageDraw.Draw(frame), ImageFont.load_default(18)
        draw.rectangle((x - 1, 0, x, frame.height), fill="white")
        for corner, name, anchor in (((8, 8), "bicubic", "lt"), ((-8, 8), "Swin2SR", "rt")):
            place = corner[0] % frame.width, corner[1]
            draw.text(place, name, "white", font, anchor, stroke_width=2, stroke_fill="black")
        return frame

    def save_to(self, path: Path) -> None:
        first, *rest = self.frames
        first.save(
            path, save_all=True, append_images=rest, duration=PAUSE, loop=0, quality=72, method=6
        )


# -- the inputs --------------------------------------------------------------------------------


def make_inputs() -> None:
    """Small pictures: public ones that scikit-image brings, and drawn ones."""
    from skimage import data

    folder = EXAMPLES / "inputs"
    folder.mkdir(exist_ok=True)
    cat = Image.fromarray(data.chelsea()).crop((75, 0, 375, 300))
    made = {
        "photograph": reduced(cat),
        "portrait": Image.open(EXAMPLES / "astronaut_128.png").convert("RGB"),
        "line_art": reduced(Image.fromarray(drawn_picture(5, 1))),
        "text": written(),
        "texture": reduced(Image.fromarray(data.brick()).convert("RGB")),
        "old_photograph": aged(reduced(Image.fromarray(data.camera()).convert("RGB"))),
    }
    for kind, picture in made.items():
        picture.save(folder / f"{kind}.png", optimize=True)


def reduced(picture: Image.Image) -> Image.Image:
    return picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def written() -> Image.Image:
    page = Image.new("RGB", (4 * SIDE, 4 * SIDE), (250, 248, 240))
    font = ImageFont.load_default(38)
    ImageDraw.Draw(page).multiline_text((24, 60), TEXT, (20, 20, 30), font, spacing=26)
    return reduced(page)


def aged(picture: Image.Image) -> Image.Image:
    """Blurred, noisy and compressed as the test set's severe strength, faded and brown."""
    worse = worsened(np.asarray(picture), STRENGTHS["severe"], np.random.default_rng(1))
    faded = worse.mean(axis=2, keepdims=True) * 0.72 + 40
    return Image.fromarray((faded * (1.0, 0.93, 0.78)).clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
