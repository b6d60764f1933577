"""One picture against its original: the network's enlargement, and bicubic beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from swin2sr_core.engine.upscale import upscale
from swin2sr_core.errors import InputError
from swin2sr_core.models.model import Model
from swin2sr_core.pictures import expand_inputs, open_picture, to_pixels
from swin2sr_core.pictures.frame import over_white
from swin2sr_core.pictures.metrics import psnr_y, ssim_y

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """An original, and the file of its reduction (None: it is reduced by bicubic, in memory)."""

    high: Path
    low: Path | None


@dataclass(frozen=True)
class Score:
    """On Y: PSNR in dB, SSIM in -1..1; of the model, and of bicubic interpolation."""

    psnr: float
    ssim: float
    bicubic_psnr: float
    bicubic_ssim: float

    def to_dict(self) -> dict[str, float | None]:
        """Plain values; infinity is None, for which JSON has a word."""
        return {
            name: round(value, 6) if math.isfinite(value) else None
            for name, value in asdict(self).items()
        }


def find_pairs(high: str, low: str | None, scale: int) -> list[Pair]:
    """The pictures of two folders by name: "baby" with "baby", "babyx4" or "baby_x4".

    Without `low`, originals alone. Raises InputError for an original whose LR picture is missing.
    """
    originals = expand_inputs([high])
    if low is None:
        return [Pair(path, None) for path in originals]
    ending = re.compile(rf"_?x{scale}$", re.IGNORECASE)
    reductions = {ending.sub("", path.stem): path for path in expand_inputs([low])}
    for path in originals:
        if path.stem not in reductions:
            raise InputError(
                f"{low} has no picture for {path.name}: {path.stem}, {path.stem}x{scale} or "
                f"{path.stem}_x{scale} was expected; add it, or leave --lr out"
            )
    return [Pair(path, reductions[path.stem]) for path in originals]


def evaluate(model: Model, pair: Pair, scale: int, should_stop: Callable[[], bool]) -> Score:
    """Upscale the pair's LR picture and compare both ways of doing so with the original.

    Raises InputError for pictures that do not fit each other or the network.
    """
    original = read_picture(pair.high)
    height, width = (size - size % scale for size in original.shape[:2])
    if min(height, width) < scale:
        raise InputError(f"{pair.high} is smaller than the scale; take larger pictures")
    original = original[:height, :width]
    low = resized(original, 1 / scale) if pair.low is None else read_picture(pair.low)
    reference, image = to_tensor(original), to_tensor(low)
    if model.config.in_channels == 1:
        image = image[:, :1]
    try:
        output = upscale(model, image, scale, should_stop=should_stop).image.cpu()
        bicubic = to_tensor(resized(low, scale))
        return Score(
            psnr_y(output, reference, scale),
            ssim_y(output, reference, scale),
            psnr_y(bicubic, reference, scale),
            ssim_y(bicubic, reference, scale),
        )
    except InputError as error:
        raise InputError(f"{pair.high.name}: {error}") from error


def mean(scores: Sequence[Score]) -> Score:
    """The mean of each number over pictures, as papers give it."""
    return Score(*np.mean([[*asdict(score).values()] for score in scores], axis=0).tolist())


def read_picture(path: Path) -> Pixels:
    """H x W x 3 bytes: the first frame, on white where it is transparent. Raises InputError."""
    with open_picture(path) as picture:
        pixels = to_pixels(over_white(next(picture.frames()))).astype(np.uint8)
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)


def resized(pixels: Pixels, factor: float) -> Pixels:
    """By bicubic interpolation in 8 bits, antialiased where it reduces."""
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def to_tensor(pixels: Pixels) -> Tensor:
    """H W C bytes -> 1 C H W in 0..1."""
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
