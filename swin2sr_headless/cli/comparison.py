"""The before-and-after picture of --compare."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from swin2sr_core.pictures.frame import Pixels

_DIVIDER = 2
_PAPER = (24, 24, 24)
_INK = (235, 235, 235)
_LINE = (255, 255, 255)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def side_by_side(before: Pixels, after: Pixels, model: str) -> Pixels:
    """`before`, enlarged by bicubic interpolation, left of `after`, with a heading over each.

    Both are H x W x 1|3 of uint8; `after` has the size that both halves get. The heading tells the
    method: `model` on the right. Returns H x W x 3.
    """
    right = _image(after)
    left = _image(before)
    method = "bicubic" if left.size != right.size else "before"
    left = left.resize(right.size, Image.Resampling.BICUBIC)
    font = _font(right.width)
    _, top, _, bottom = font.getbbox("Ag")
    heading = round(top + bottom + 4)  # as much room under the letters as over them
    canvas = Image.new("RGB", (2 * right.width + _DIVIDER, right.height + heading), _PAPER)
    canvas.paste(left, (0, heading))
    canvas.paste(right, (right.width + _DIVIDER, heading))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((right.width, 0, right.width + _DIVIDER - 1, canvas.height), fill=_LINE)
    for x, text in ((0, method), (right.width + _DIVIDER, f"Swin2SR {model}")):
        draw.text((x + 4, 2), _fitting(text, right.width - 8, font), fill=_INK, font=font)
    return np.array(canvas)


def _image(pixels: Pixels) -> Image.Image:
    grey = pixels.shape[2] == 1
    return Image.fromarray(pixels[..., 0] if grey else pixels).convert("RGB")


def _font(width: int) -> Font:
    """Pillow's own font, in a size that suits a picture of this width."""
    try:
        return ImageFont.load_default(size=min(48, max(11, width // 32)))
    except ImportError:  # a Pillow without FreeType has one size
        return ImageFont.load_default()


def _fitting(text: str, width: float, font: Font) -> str:
    """As much of the text as fits into `width` pixels; what the plain font lacks becomes "?"."""
    text = text.encode("ascii", "replace").decode("ascii")
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
