"""The five-point alignment that face restorers are trained with, and its way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..pictures.resize import resize
from ..planning.tiles import Box
from .face import Point

SIDE = 512
"""Pixels of an aligned face, in both directions."""

TEMPLATE: tuple[Point, ...] = (
    (192.98, 239.95),
    (318.90, 240.19),
    (256.63, 314.02),
    (201.26, 371.41),
    (313.09, 371.15),
)
"""Where eyes, nose and mouth lie in an aligned face: the mean of FFHQ, as restorers use it."""


@dataclass(frozen=True)
class Similarity:
    """x' = a x - b y + tx, y' = b x + a y + ty: turns, scales evenly and moves."""

    a: float
    b: float
    tx: float
    ty: float

    @classmethod
    def between(cls, source: Sequence[Point], target: Sequence[Point]) -> Similarity | None:
        """The best in least squares (Umeyama 1991, in closed form for the plane, no mirroring).

        None where the points of `source` are all the same.
        """
        count = len(source)
        sx, sy = sum(x for x, _ in source) / count, sum(y for _, y in source) / count
        tx, ty = sum(x for x, _ in target) / count, sum(y for _, y in target) / count
        pairs = [
            (x - sx, y - sy, u - tx, v - ty) for (x, y), (u, v) in zip(source, target, strict=True)
        ]
        norm = sum(x * x + y * y for x, y, _, _ in pairs)
        if norm < 1e-9:
            return None
        a = sum(x * u + y * v for x, y, u, v in pairs) / norm
        b = sum(x * v - y * u for x, y, u, v in pairs) / norm
        if math.hypot(a, b) < 1e-9:
            return None
        return cls(a, b, tx - a * sx + b * sy, ty - b * sx - a * sy)

    @property
    def scale(self) -> float:
        return math.hypot(self.a, self.b)

    @property
    def inverse(self) -> Similarity:
        """The way back: `similarity.inverse.at(*similarity.at(x, y))` is (x, y)."""
        norm = self.a**2 + self.b**2
        a, b = self.a / norm, -self.b / norm
        return Similarity(a, b, -a * self.tx + b * self.ty, -b * self.tx - a * self.ty)

    def at(self, x: float, y: float) -> Point:
        return self.a * x - self.b * y + self.tx, self.b * x + self.a * y + self.ty


def align(image: Tensor, similarity: Similarity) -> Tensor:
    """1 x C x H x W -> 1 x C x 512 x 512, aligned; `similarity` maps pixels to those of the result.

    What lies outside of the picture is its border repeated. A face that is larger than in the
    result is reduced with antialiasing first.
    """
    x0, y0, x1, y1 = _hull(similarity.inverse, Box(0, 0, SIDE, SIDE))
    height, width = image.shape[2:]
    box = Box(int(y0) - 2, int(x0) - 2, math.ceil(y1) + 2, math.ceil(x1) + 2)
    box = box.clipped(Box(0, 0, height, width))
    if box.height < 1 or box.width < 1:
        box = Box(0, 0, height, width)
    part = image[..., box.rows, box.columns].float()
    if similarity.scale < 1:
        size = (
            max(1, round(box.height * similarity.scale)),
            max(1, round(box.width * similarity.scale)),
        )
        part = resize(part, *size)
    factor_x, factor_y = part.shape[3] / box.width, part.shape[2] / box.height
    back = similarity.inverse
    x, y = _centres(SIDE, SIDE, image.device)
    source_x = (back.a * x - back.b * y + back.tx - box.x0) * factor_x
    source_y = (back.b * x + back.a * y + back.ty - box.y0) * factor_y
    return _sampled(part, source_x, source_y).clamp(0, 1)


def unalign(aligned: Tensor, similarity: Similarity, target: Box) -> tuple[Tensor, Tensor]:
    """The pixels of `target`, C h w, out of an aligned face, and the weights that they deserve.

    The inverse of `align`. Weights (h w) are 0 outside of the aligned square and rise to 1 within
    an eighth of its side, as a raised cosine. Where the picture is much smaller than the aligned
    face, that is reduced with antialiasing first.
    """
    size = min(SIDE, max(1, round(SIDE / max(similarity.scale, 1))))
    small = resize(aligned.float(), size, size)
    x, y = _centres(target.height, target.width, aligned.device)
    x, y = x + target.x0, y + target.y0
    source_x = similarity.a * x - similarity.b * y + similarity.tx
    source_y = similarity.b * x + similarity.a * y + similarity.ty
    factor = size / SIDE
    pixels = _sampled(small, source_x * factor, source_y * factor)[0]
    inside = _rise(source_x) * _rise(SIDE - source_x) * _rise(source_y) * _rise(SIDE - source_y)
    return pixels.clamp(0, 1), inside


def _rise(distance: Tensor) -> Tensor:
    return 0.5 - 0.5 * torch.cos(math.pi * (distance / (SIDE / 8)).clamp(0, 1))


def _hull(similarity: Similarity, box: Box) -> tuple[float, float, float, float]:
    corners = [similarity.at(x, y) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _centres(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """x and y of the centres of all pixels, each h w."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device) + 0.5,
        torch.arange(width, device=device) + 0.5,
        indexing="ij",
    )
    return x, y


def _sampled(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """1 C H W at the places x and y (h w, in pixels from the left and top edge), bicubic."""
    height, width = image.shape[2:]
    places = torch.stack([2 * x / width - 1, 2 * y / height - 1], dim=-1)[None]
    return F.grid_sample(
        image, places.float(), mode="bicubic", padding_mode="border", align_corners=False
    )
