"""Batches of LR and HR crops, each a pure function of the seed, the step and the process."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from swin2sr_core.errors import InputError
from swin2sr_core.pictures import expand_inputs
from swin2sr_headless.cli.evaluation import read_picture, resized
from swin2sr_headless.degradation.chain import worsened
from swin2sr_headless.degradation.drawn import drawn_picture, plain_color

from .config import Data

logger = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]

MARGIN = 12
"""LR pixels around a crop that are degraded with it and cut away: no filter sees a crop's
edge, but where it is to be the border of a picture."""


def read_pictures(data: Data, side: int) -> list[Pixels]:
    """All pictures of the folders that are not held out and not smaller than `side`, H x W x 3.

    Raises InputError when none is left.
    """
    pictures: list[Pixels] = []
    for path in expand_inputs(data.folders) if data.folders else []:
        if path.stem in data.exclude:
            continue
        pixels = read_picture(path)
        if min(pixels.shape[:2]) >= side:
            pictures.append(pixels)
        else:
            logger.warning("%s is left out: it is smaller than %d pixels", path.name, side)
    if not pictures and data.synthetic_share < 1:
        raise InputError(
            f"there is no picture of at least {side} x {side} pixels in data.folders "
            f"({', '.join(data.folders) or 'none given'}); name a folder of HR pictures"
        )
    return pictures


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Batch number i of process `rank`: LR (B 3 crop crop) and HR (B 3 s*crop s*crop) in 0..1."""

    def __init__(self, data: Data, scale: int, batch: int, seed: int, rank: int = 0) -> None:
        if data.synthetic_share and not data.synthetic:
            raise InputError(
                f"data.synthetic_share is {data.synthetic_share}, but data.synthetic is 0; say how "
                "many pictures are to be drawn"
            )
        self.data = data
        self.scale = scale
        self.batch = batch
        self.seed = seed
        self.rank = rank
        self.photographs = read_pictures(data, self._side)
        self.drawn = [drawn_picture(seed, i, max(512, self._side)) for i in range(data.synthetic)]
        areas = np.array([each.shape[0] * each.shape[1] for each in self.photographs], float)
        self._weights = areas / areas.sum() if len(areas) else areas

    @property
    def _side(self) -> int:
        """Side of the HR square that a crop and its margin are taken from."""
        return (self.data.crop + 2 * MARGIN) * self.scale

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, step, self.rank))
        pairs = [self._pair(rng) for _ in range(self.batch)]
        low, high = (_tensor(each) for each in zip(*pairs, strict=True))
        if rng.random() < self.data.ragged_share:
            height, width = self.data.crop - rng.integers(0, 8, 2)
            low = low[..., :height, :width]
            high = high[..., : self.scale * height, : self.scale * width]
        return low.contiguous(), high.contiguous()

    def _pair(self, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        square = turned(self._square(rng), int(rng.integers(8)))
        low = resized(square, 1 / self.scale)
        how = self.data.degradation
        if how.share and rng.random() < how.share:
            low = worsened(low, how, rng)
        # not always the middle: the blocks of JPEG must lie anywhere
        y, x = rng.integers(4, 2 * MARGIN - 3, 2)
        if rng.random() < self.data.border_share:
            y, x = rng.choice((0, MARGIN, 2 * MARGIN), 2)
        crop, scale = self.data.crop, self.scale
        high = square[scale * y : scale * (y + crop), scale * x : scale * (x + crop)]
        return low[y : y + crop, x : x + crop], high

    def _square(self, rng: np.random.Generator) -> Pixels:
        if rng.random() < self.data.flat_share:
            return np.full((self._side, self._side, 3), plain_color(rng), np.uint8)
        pictures, weights = self.photographs, self._weights
        if self.drawn and rng.random() < self.data.synthetic_share:
            pictures, weights = self.drawn, None
        found: list[Pixels] = []
        for _ in range(self.data.candidates):
            picture = pictures[int(rng.choice(len(pictures), p=weights))]
            y = int(rng.integers(picture.shape[0] - self._side + 1))
            x = int(rng.integers(picture.shape[1] - self._side + 1))
            found.append(picture[y : y + self._side, x : x + self._side])
        return max(found, key=_detail) if len(found) > 1 else found[0]


def turned(pixels: Pixels, turn: int) -> Pixels:
    """One of the eight flips and quarter turns of a square, 0 to 7; 0 leaves it."""
    pixels = np.rot90(pixels, turn % 4)
    return np.ascontiguousarray(pixels[:, ::-1] if turn >= 4 else pixels)


def _detail(pixels: Pixels) -> float:
    """Mean step between neighbours in green."""
    green = pixels[::2, :, 1].astype(np.int16)
    return float(np.abs(np.diff(green, axis=1)).mean())


def _tensor(crops: Sequence[Pixels]) -> Tensor:
    """B H W C bytes -> B C H W in 0..1."""
    stacked = torch.from_numpy(np.stack(crops))
    return stacked.permute(0, 3, 1, 2).contiguous().float() / 255
