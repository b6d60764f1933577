"""One damage each: H x W x 3 bytes in, the same size out, nothing moved.

Lengths are in pixels of the picture at hand, noise in 8-bit levels. What needs chance takes it
from the generator it is given.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Rng = np.random.Generator
Damage = Callable[[Pixels, float, Rng], Pixels]

_FROM_CHROMA = np.array([[0, -0.344136, 1.772], [1.402, -0.714136, 0]], np.float32)
"""Cb and Cr -> R, G, B with Y left alone (JFIF)."""

_SUBSAMPLINGS = (0, 2)
"""Those that cameras write, as Pillow counts: 4:4:4 and 4:2:0."""


def blur(pixels: Pixels, sigma: float, rng: Rng) -> Pixels:
    """A round Gaussian of this standard deviation."""
    return _bytes(convolved(pixels, gaussian_kernel(sigma, sigma, 0.0)))


def motion_blur(pixels: Pixels, sigma: float, rng: Rng) -> Pixels:
    """An oblong Gaussian: `sigma` along a random direction, a fifth to four fifths across."""
    kernel = gaussian_kernel(sigma, sigma * rng.uniform(0.2, 0.8), rng.uniform(0, np.pi))
    return _bytes(convolved(pixels, kernel))


def lens_blur(pixels: Pixels, radius: float, rng: Rng) -> Pixels:
    """A disk: a lens out of focus."""
    return _bytes(convolved(pixels, disk_kernel(radius)))


def halo(pixels: Pixels, amount: float, rng: Rng) -> Pixels:
    """Sharpened too much: `amount` times what a Gaussian of 0.6 to 1.8 pixels takes away."""
    sigma = rng.uniform(0.6, 1.8)
    soft = convolved(pixels, gaussian_kernel(sigma, sigma, 0.0))
    return _bytes(pixels + np.float32(amount) * (pixels - soft))


def resampling(pixels: Pixels, factor: float, rng: Rng) -> Pixels:
    """Resized by `factor` and back, each time by another filter, box to Lanczos."""
    filters = list(Image.Resampling)[1:]  # all but nearest, which moves pixels
    image = Image.fromarray(pixels)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    there, back = (filters[int(rng.integers(len(filters)))] for _ in range(2))
    return np.asarray(image.resize(size, there).resize(image.size, back))


def noise(pixels: Pixels, level: float, rng: Rng) -> Pixels:
    """Gaussian noise of this standard deviation; for one in two, grey noise."""
    channels = 1 if rng.random() < 0.5 else 3
    return _bytes(pixels + rng.normal(0.0, level, (*pixels.shape[:2], channels)))


def shot_noise(pixels: Pixels, level: float, rng: Rng) -> Pixels:
    """Poisson noise: counted photons, `level` its standard deviation at middle grey."""
    photons = 128 / max(level, 1e-3) ** 2  # a level of 8 bits
    return _bytes(rng.poisson(pixels * photons) / photons)


def chroma_noise(pixels: Pixels, level: float, rng: Rng) -> Pixels:
    """Blotches of colour, as a sensor's after demosaicing; the brightness stays."""
    grain = rng.normal(0.0, 1.0, (*pixels.shape[:2], 2)).astype(np.float32)
    sigma = rng.uniform(0.3, 1.2)
    soft = convolved(grain, gaussian_kernel(sigma, sigma, 0.0))
    soft *= level / max(float(soft.std()), 1e-6)
    return _bytes(pixels + soft @ _FROM_CHROMA)


def jpeg(pixels: Pixels, quality: float, rng: Rng) -> Pixels:
    """Through JPEG and back, 4:4:4 or 4:2:0, its grid of 8 (16) pixels lying anywhere."""
    top, left = (int(offset) for offset in rng.integers(0, 16, 2))
    padded = np.pad(pixels, ((top, 0), (left, 0), (0, 0)), "edge")
    return whole_jpeg(padded, quality, rng)[top:, left:]


def whole_jpeg(pixels: Pixels, quality: float, rng: Rng) -> Pixels:
    """The same with the grid beginning at the top left, as in a file that nobody has cropped."""
    return compressed(pixels, round(quality), int(rng.choice(_SUBSAMPLINGS)))


def webp(pixels: Pixels, quality: float, rng: Rng) -> Pixels:
    """Through lossy WebP and back (4:2:0 always)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=round(quality), method=0)
    return np.asarray(Image.open(file).convert("RGB"))


def palette(pixels: Pixels, colors: float, rng: Rng) -> Pixels:
    """Reduced to so many colours of its own, without dithering: bands."""
    return _quantized(pixels, round(colors), Image.Dither.NONE)


def gif(pixels: Pixels, colors: float, rng: Rng) -> Pixels:
    """Reduced to so many colours, dithered by error diffusion, as GIF writers do."""
    return _quantized(pixels, round(colors), Image.Dither.FLOYDSTEINBERG)


DAMAGES: dict[str, Damage] = {
    each.__name__: each
    for each in (
        *(blur, motion_blur, lens_blur, halo, resampling, noise, shot_noise, chroma_noise),
        *(jpeg, whole_jpeg, webp, palette, gif),
    )
}


def compressed(pixels: Pixels, quality: int, subsampling: int = 2) -> Pixels:
    """Through JPEG and back; `subsampling` as Pillow counts: 0 is 4:4:4, 2 is 4:2:0."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(file).convert("RGB"))


def gaussian_kernel(along: float, across: float, angle: float) -> Floats:
    """Odd x odd, sum 1: standard deviations in pixels along a direction and across it."""
    y, x = _grid(max(1, int(np.ceil(3 * max(along, across)))))
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return _normalised(np.exp(-0.5 * ((u / max(along, 1e-3)) ** 2 + (v / max(across, 1e-3)) ** 2)))


def disk_kernel(radius: float) -> Floats:
    """Odd x odd, sum 1: a disk with a soft edge, one pixel wide."""
    y, x = _grid(int(np.ceil(radius + 0.5)))
    return _normalised(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def convolved(pixels: NDArray[np.generic], kernel: Floats) -> Floats:
    """H W C by a kernel that is its own mirror image, the border repeated."""
    reach = kernel.shape[0] // 2
    padded = np.pad(pixels.astype(np.float32), ((reach, reach), (reach, reach), (0, 0)), "edge")
    height, width = pixels.shape[:2]
    total = np.zeros(pixels.shape, np.float32)
    for y, x in np.argwhere(kernel > 1e-5):
        total += kernel[y, x] * padded[y : y + height, x : x + width]
    return total


def _grid(reach: int) -> tuple[Floats, Floats]:
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    return y, x


def _normalised(kernel: NDArray[np.floating]) -> Floats:
    kernel = np.where(kernel > 1e-5 * kernel.max(), kernel, 0)
    return (kernel / kernel.sum()).astype(np.float32)


def _quantized(pixels: Pixels, colors: int, dither: Image.Dither) -> Pixels:
    image = Image.fromarray(pixels)
    few = image.quantize(colors, Image.Quantize.MEDIANCUT)
    # dithering needs the palette of a picture that is there already
    return np.asarray(image.quantize(palette=few, dither=dither).convert("RGB"))


def _bytes(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
