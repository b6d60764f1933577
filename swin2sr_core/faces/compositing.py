"""Blending patches into a picture: where they go on its grid, their weights, and the sum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..pictures.masks import same_shape
from ..pictures.resize import resize
from ..planning.tiles import Box

MAX_FEATHER = 0.5
_EPS = 1e-6
_COLOR_CELL = 16
"""LR pixels over which `match_color` averages: what is smaller belongs to the refined patch."""


@dataclass(frozen=True)
class Grid:
    """An original picture and its upscaled twin: how pixels of the one map to those of the other.

    Pixel edges coincide at the borders, as `resize` and ComfyUI's own resizers have it. Raises
    InputError where the two axes were not enlarged alike.
    """

    height: int
    width: int
    output_height: int
    output_width: int

    def __post_init__(self) -> None:
        enlarged = self.output_height, self.output_width
        if not same_shape((self.height, self.width), enlarged):
            raise InputError.saying(
                "upscaled_shape",
                "the upscaled picture of {output_width}x{output_height} is not the original of "
                "{width}x{height}: that is x{scale_x:.3g} in width and x{scale_y:.3g} in "
                "height, expected the same; wire both from the same picture",
                output_width=self.output_width,
                output_height=self.output_height,
                width=self.width,
                height=self.height,
                scale_x=self.scale_x,
                scale_y=self.scale_y,
            )

    @property
    def scale_y(self) -> float:
        return self.output_height / self.height

    @property
    def scale_x(self) -> float:
        return self.output_width / self.width

    @property
    def scale(self) -> float:
        return (self.output_height + self.output_width) / (self.height + self.width)

    @property
    def bounds(self) -> Box:
        return Box(0, 0, self.output_height, self.output_width)

    def target(self, area: Box) -> Box:
        """The output pixels that an area of the original touches."""
        return Box(
            math.floor(area.y0 * self.scale_y + _EPS),
            math.floor(area.x0 * self.scale_x + _EPS),
            math.ceil(area.y1 * self.scale_y - _EPS),
            math.ceil(area.x1 * self.scale_x - _EPS),
        ).clipped(self.bounds)

    def patch(self, made: Tensor, crop: Box, target: Box) -> Tensor:
        """The output pixels `target`, C h w, of what a network made of `crop`: C n*H n*W.

        Where the network's scale n is not that of this grid, its result is resampled (bicubic,
        antialiased), each pixel at its place in the whole picture and not in the crop.
        """
        n = made.shape[-1] // crop.width
        top, left = target.y0 / self.scale_y - crop.y0, target.x0 / self.scale_x - crop.x0
        bottom, right = target.y1 / self.scale_y - crop.y0, target.x1 / self.scale_x - crop.x0
        if self.scale_y == n and self.scale_x == n:
            box = target.moved(-crop.y0 * n, -crop.x0 * n)
            return made[:, box.rows, box.columns]
        sides = (
            max(left * n, 0.0),
            max(top * n, 0.0),
            min(right * n, float(made.shape[-1])),
            min(bottom * n, float(made.shape[-2])),
        )
        size = target.width, target.height
        planes = [  # Pillow's filter is that of `resize`, and takes fractions of pixels
            np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC, sides))
            for plane in made.float().cpu().numpy()
        ]
        return torch.from_numpy(np.stack(planes)).clamp(0, 1).to(made.device)


def ramp(target: Box, bounds: Box, feather: float, device: torch.device) -> Tensor:
    """The weights of one patch, h w: 1 inside, falling to 0 at its sides as a raised cosine.

    `feather` is the width of the fall, as a part (0..0.5) of the shorter side; sides that lie on
    the picture's border do not fall. Separable: the product of one profile along each axis.
    """
    width = max(feather * min(target.height, target.width), 1e-9)
    inside_y = (target.y0 > bounds.y0, target.y1 < bounds.y1)
    inside_x = (target.x0 > bounds.x0, target.x1 < bounds.x1)
    rows = _profile(target.height, width, *inside_y)
    columns = _profile(target.width, width, *inside_x)
    return (rows[:, None] * columns[None, :]).to(device, torch.float32)


def _profile(size: int, feather: float, falls_first: bool, falls_last: bool) -> Tensor:
    position = torch.arange(size, dtype=torch.float64) + 0.5
    weight = torch.ones(size, dtype=torch.float64)
    for distance, falls in ((position, falls_first), (size - position, falls_last)):
        if falls:
            weight *= 0.5 - 0.5 * torch.cos(math.pi * (distance / feather).clamp(0, 1))
    return weight


@dataclass
class Compositor:
    """Blends patches into a copy of `base`, C H W, one after the other.

    `targets` are the places of all patches that are to come; where they overlap, each gets its part
    of the largest of their weights. So the weights never exceed 1, depend on no order, and are zero
    outside of all targets, where the picture stays as it is bit by bit. `strength` scales them.
    """

    base: Tensor
    targets: Sequence[Box]
    feather: float = 0.2
    strength: float = 1.0
    output: Tensor = field(init=False)
    mask: Tensor = field(init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.feather <= MAX_FEATHER:
            raise InputError.saying(
                "feather_range",
                "feather must be from 0 to {most:g}, got {feather:g}",
                most=MAX_FEATHER,
                feather=self.feather,
            )
        if not 0 <= self.strength <= 1:
            raise InputError.saying(
                "strength_range",
                "strength must be from 0 to 1, got {strength:g}",
                strength=self.strength,
            )
        self.output = self.base.clone()
        size = self.base.shape[-2:]
        self.mask = torch.zeros(size, dtype=torch.float32, device=self.base.device)

    @property
    def bounds(self) -> Box:
        return Box(0, 0, *self.base.shape[-2:])

    def weights(self, index: int) -> Tensor:
        """The weights of patch `index` over its target, h w, strength not included."""
        target = self.targets[index]
        own = self._ramp(target)
        near = [t for i, t in enumerate(self.targets) if i != index and _meet(t, target)]
        if not near:
            return own
        most, total = own.clone(), own.clone()
        for other in near:
            shared = other.clipped(target)
            here, there = shared.relative_to(target), shared.relative_to(other)
            part = self._ramp(other)[there.rows, there.columns]
            most[here.rows, here.columns] = torch.maximum(most[here.rows, here.columns], part)
            total[here.rows, here.columns] += part
        return own * most / total.clamp_min(torch.finfo(total.dtype).tiny)

    def add(self, index: int, patch: Tensor) -> None:
        """Blend `patch`, C h w, into target `index`; once for each."""
        target = self.targets[index]
        weight = self.weights(index) * self.strength
        before = self.base[:, target.rows, target.columns].float()
        change = (patch.to(before.device, torch.float32) - before) * weight
        place = self.output[:, target.rows, target.columns]
        place.copy_(torch.where(weight > 0, place.float() + change, place.float()))
        self.mask[target.rows, target.columns] += weight

    def _ramp(self, target: Box) -> Tensor:
        return ramp(target, self.bounds, self.feather, self.base.device)


def _meet(one: Box, other: Box) -> bool:
    return min(one.y1, other.y1) > max(one.y0, other.y0) and min(one.x1, other.x1) > max(
        one.x0, other.x0
    )


def match_color(patch: Tensor, base: Tensor, scale: float) -> Tensor:
    """`patch`, C h w, with the low frequencies of `base` (the same pixels) instead of its own.

    Low is what averages over 16 LR pixels, at this scale, still show. The result is in 0..1.
    """
    cell = max(1.0, _COLOR_CELL * scale)
    height, width = patch.shape[-2:]
    small = max(1, round(height / cell)), max(1, round(width / cell))
    difference = (base.float() - patch.float())[None]
    low = resize(resize(difference, *small), height, width)[0]
    return (patch.float() + low).clamp(0, 1)
