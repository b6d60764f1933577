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
from swin2sr_core.pictures.metrics import blockiness, psnr_chroma, psnr_y, ssim_y

from ..degradation.chain import STRENGTHS, worsened
from ..degradation.drawn import drawn_picture
from .perceptual import flip

Pixels = NDArray[np.uint8]

DRAWN_SIDE = 384
"""Of the originals that are drawn: as large as the crops that degraded figures are told of."""


@dataclass(frozen=True)
class Pair:
    """An original, and the file of its reduction (None: it is reduced by bicubic, in memory).

    `strength` (a name of `STRENGTHS`, or "") says how the reduction is worsened, by the chance of
    `seed`. Where `drawn` is a number, the original is drawn and `high` is only its name.
    """

    high: Path
    low: Path | None
    strength: str = ""
    seed: tuple[int, ...] = ()
    drawn: int | None = None

    def original(self) -> Pixels:
        """H x W x 3 bytes. Raises InputError."""
        if self.drawn is not None:
            return drawn_picture(self.seed[0], self.drawn, DRAWN_SIDE)
        return read_picture(self.high)

    def reduction(self, original: Pixels, scale: int) -> Pixels:
        """h x w x 3 bytes, of the original whose sides are multiples of the scale."""
        if self.low is not None:
            return read_picture(self.low)
        low = resized(original, 1 / scale)
        if self.strength:
            low = worsened(low, STRENGTHS[self.strength], np.random.default_rng(self.seed))
        return low


@dataclass(frozen=True)
class Figures:
    """One enlargement: PSNR on Y and on Cb with Cr in dB, SSIM on Y in -1..1.

    `blockiness` is 1 where JPEG's grid does not show; `flip` is the mean of FLIP's error, 0..1, or
    not a number where its library is not installed.
    """

    psnr: float
    ssim: float
    chroma_psnr: float
    blockiness: float
    flip: float


@dataclass(frozen=True)
class Score:
    """Of the model, and of bicubic interpolation."""

    model: Figures
    bicubic: Figures

    def to_dict(self) -> dict[str, float | None]:
        """Plain values; what is no finite number is None, for which JSON has a word."""
        named = asdict(self.model)
        named |= {f"bicubic_{name}": value for name, value in asdict(self.bicubic).items()}
        return {
            name: round(value, 6) if math.isfinite(value) else None for name, value in named.items()
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


def degraded_pairs(high: str | None, drawn: int, seed: int) -> list[Pair]:
    """The test set of this seed: every original clean and in each of `STRENGTHS`.

    Originals are those of the folder `high`, and the first `drawn` that are drawn. What chance
    does to one depends on the seed, its place among them and the strength alone.
    """
    named: list[tuple[Path, int | None]] = [
        (path, None) for path in (expand_inputs([high]) if high else [])
    ]
    named += [(Path(f"drawn_{number}"), number) for number in range(drawn)]
    if not named:
        raise InputError("there are no originals; name a folder with --hr, or some with --drawn")
    return [
        Pair(path, None, strength, (seed, place, rank), number)
        for rank, strength in enumerate(("", *STRENGTHS))
        for place, (path, number) in enumerate(named)
    ]


def evaluate(model: Model, pair: Pair, scale: int, should_stop: Callable[[], bool]) -> Score:
    """Upscale the pair's LR picture and compare both ways of doing so with the original.

    Raises InputError for pictures that do not fit each other or the network.
    """
    original = pair.original()
    height, width = (size - size % scale for size in original.shape[:2])
    if min(height, width) < scale:
        raise InputError(f"{pair.high} is smaller than the scale; take larger pictures")
    original = original[:height, :width]
    low = pair.reduction(original, scale)
    reference, image = to_tensor(original), to_tensor(low)
    if model.config.in_channels == 1:
        image = image[:, :1]
    try:
        output = upscale(model, image, scale, should_stop=should_stop).image.cpu()
        bicubic = to_tensor(resized(low, scale))
        return Score(_figures(output, reference, scale), _figures(bicubic, reference, scale))
    except InputError as error:
        raise InputError(f"{pair.high.name}: {error}") from error


def _figures(image: Tensor, reference: Tensor, scale: int) -> Figures:
    return Figures(
        psnr_y(image, reference, scale),
        ssim_y(image, reference, scale),
        psnr_chroma(image, reference, scale),
        blockiness(image, scale),
        flip(image, reference, scale),
    )


def mean(scores: Sequence[Score]) -> Score:
    """The mean of each number over pictures, as papers give it."""
    means = [
        Figures(*np.mean([[*asdict(each).values()] for each in kind], axis=0).tolist())
        for kind in zip(*((score.model, score.bicubic) for score in scores), strict=True)
    ]
    return Score(*means)


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
