"""A small picture that shows which faces were found, and which of them are left as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..pictures.resize import resize
from .face import Face, Skipped
from .planning import Region

SIDE = 1024
"""The longest side of a preview, in pixels."""

_KEPT, _SKIPPED, _AREA = (64, 255, 96), (255, 80, 64), (255, 255, 255)


def draw_faces(image: Tensor, regions: Sequence[Region], skipped: Sequence[Skipped] = ()) -> Tensor:
    """`image`, 1 x 1|3 x H x W in 0..1, as 1 x 3 x h x w of at most 1024 px with boxes drawn in.

    A green box and the score for each face that is refined, a thin white one around the area that
    is replaced with it, a red one and the reason for each face that is left as it is.
    """
    height, width = image.shape[2:]
    factor = min(1.0, SIDE / max(height, width))
    size = max(1, round(height * factor)), max(1, round(width * factor))
    small = resize(image.float(), *size).clamp(0, 1)[0].expand(3, -1, -1)
    pixels = small.mul(255).round().to("cpu", torch.uint8).permute(1, 2, 0).numpy()
    canvas = Image.fromarray(np.ascontiguousarray(pixels))
    draw = ImageDraw.Draw(canvas)
    scale = size[1] / width, size[0] / height
    for each in skipped:
        _box(draw, each.face, scale, _SKIPPED, f"skipped: {each.reason}")
    for region in regions:
        area = region.area
        corners = Face(area.x0, area.y0, area.x1, area.y1)
        _box(draw, corners, scale, _AREA)
        for face in region.faces:
            _box(draw, face, scale, _KEPT, f"{face.score:.2f}", 2)
    array = np.asarray(canvas, dtype=np.float32) / 255
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()


def _box(
    draw: ImageDraw.ImageDraw,
    face: Face,
    scale: tuple[float, float],
    color: tuple[int, int, int],
    label: str = "",
    line: int = 1,
) -> None:
    shown = face.scaled(*scale)
    x0, y0 = round(shown.x0), round(shown.y0)
    x1, y1 = max(x0, round(shown.x1) - 1), max(y0, round(shown.y1) - 1)
    draw.rectangle((x0, y0, x1, y1), outline=color, width=line)
    if label:
        font = ImageFont.load_default()
        _, _, right, bottom = draw.textbbox((0, 0), label, font=font)
        top = y0 - bottom - 2 if y0 > bottom + 2 else y0 + line
        draw.rectangle((x0, top, x0 + right + 2, top + bottom + 1), fill=(0, 0, 0))
        draw.text((x0 + 1, top), label, fill=color, font=font)
