"""Frames of an animation, fully composited: what they have in common, and each of them alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image

from .files.animation import DEFAULT_MS
from .frame import Pixels
from .pixels import to_array


class Layout(NamedTuple):
    """What all frames of an animation are, so that they fit into one file."""

    grey: bool
    alpha: bool

    @property
    def channels(self) -> int:
        return (1 if self.grey else 3) + self.alpha


def surveyed(image: Image.Image, numbers: Iterable[int]) -> tuple[Layout, tuple[float, ...]]:
    """What all frames have in common, and how long each is shown, in milliseconds."""
    size = image.size
    grey, alpha, durations = True, False, []
    for number in numbers:
        pixels = composited(image, number, size)
        if grey:
            # GIF has no grey to declare: its colours tell
            grey = pixels.shape[2] <= 2 or (image.format == "GIF" and _is_plain(pixels))
        # encoders declare alpha for their own use too: to leave pixels as they were before
        if not alpha and pixels.shape[2] in (2, 4):
            alpha = bool((pixels[..., -1] < np.iinfo(pixels.dtype).max).any())
        durations.append(float(image.info.get("duration", DEFAULT_MS)))
    return Layout(grey, alpha), tuple(durations)


def composited(image: Image.Image, number: int, size: tuple[int, int]) -> Pixels:
    """One frame as it is shown, cut to the canvas, outside of which a GIF may draw."""
    image.seek(number)
    return to_array(image.crop((0, 0, *size)) if image.size != size else image)


def arranged(pixels: Pixels, layout: Layout) -> Pixels:
    """A frame with the channels that all frames get."""
    channels = pixels.shape[2]
    color, alpha = pixels[..., : 1 if channels <= 2 else 3], pixels[..., 3 if channels > 2 else 1 :]
    if layout.grey:
        color = color[..., :1]
    elif channels <= 2:
        color = np.repeat(color, 3, axis=2)
    if layout.alpha and not alpha.shape[2]:
        alpha = np.full_like(color[..., :1], np.iinfo(pixels.dtype).max)
    return np.concatenate([color, alpha], axis=2) if layout.alpha else color


def _is_plain(pixels: Pixels) -> bool:
    return bool((pixels[..., :1] == pixels[..., 1:3]).all())
