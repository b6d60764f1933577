"""From HR to LR: the reduction that papers use, and a light chain of what photographs suffer."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .config import Degradation

Pixels = NDArray[np.uint8]
Step = Callable[[Pixels], Pixels]


def reduced(pixels: Pixels, scale: int) -> Pixels:
    """H x W x 3 -> H/scale x W/scale x 3 by bicubic interpolation with antialiasing, in 8 bits.

    H and W are multiples of the scale. This is what super-resolution papers call bicubic (MATLAB's
    imresize), up to rounding.
    """
    height, width = pixels.shape[:2]
    size = (width // scale, height // scale)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def worsened(pixels: Pixels, how: Degradation, rng: np.random.Generator) -> Pixels:
    """The LR picture blurred, with noise, and JPEG-compressed, in random order; sizes stay.

    Each step's amount is drawn from its range; see `Degradation`.
    """
    steps = _steps(how, rng)
    for index in rng.permutation(len(steps)):
        pixels = steps[index](pixels)
    return pixels


def _steps(how: Degradation, rng: np.random.Generator) -> list[Step]:
    steps: list[Step] = []
    if how.blur[1] > 0:
        sigma = rng.uniform(*how.blur)
        steps.append(lambda pixels: blurred(pixels, sigma))
    if how.noise[1] > 0:
        level = rng.uniform(*how.noise)
        steps.append(lambda pixels: noisy(pixels, level, rng))
    if how.jpeg[1] > 0:
        quality = int(rng.integers(how.jpeg[0], how.jpeg[1] + 1))
        subsampling = int(rng.choice((0, 2)))  # 4:4:4 and 4:2:0, the two that cameras write
        steps.append(lambda pixels: compressed(pixels, quality, subsampling))
    return steps


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    """A Gaussian of this standard deviation in pixels."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def noisy(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Gaussian noise of this standard deviation in 8-bit levels; for one in two, grey noise."""
    channels = 1 if rng.random() < 0.5 else 3
    noise = rng.normal(0.0, level, (*pixels.shape[:2], channels))
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def compressed(pixels: Pixels, quality: int, subsampling: int = 2) -> Pixels:
    """Through JPEG and back; `subsampling` as Pillow counts: 0 is 4:4:4, 2 is 4:2:0."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file).convert("RGB"))
