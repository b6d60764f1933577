"""One decoded picture as tensors, and its way from and to arrays of 8- or 16-bit integers.

A picture is a `Frame`, or `Strips` of one that is made while it is written.

torch is imported where tensors are made: headers of pictures are read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8 | np.uint16]
"""H x W x C, C = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha); alpha is straight."""

_BAND_SAMPLES = 1 << 20


@dataclass(frozen=True)
class Frame:
    """One picture: `color` 1 x C x H x W, C = 1 (grey) or 3 (RGB), `alpha` 1 x 1 x H x W or None.

    Both are float32 in 0..1; alpha is straight (colours are not multiplied by it), 1 is opaque.
    Raises InputError where the shapes do not fit together.
    """

    color: Tensor
    alpha: Tensor | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.color.shape)
        if len(shape) != 4 or shape[0] != 1 or shape[1] not in (1, 3) or 0 in shape:
            raise InputError(f"a frame's color must be 1 x 1|3 x H x W, got {_times(shape)}")
        expected = (1, 1, *shape[2:])
        if self.alpha is not None and tuple(self.alpha.shape) != expected:
            raise InputError(
                f"a frame's alpha must be {_times(expected)} like its color, "
                f"got {_times(tuple(self.alpha.shape))}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in pixels."""
        return self.color.shape[3], self.color.shape[2]

    @property
    def channels(self) -> int:
        """1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""
        return self.color.shape[1] + (self.alpha is not None)

    def bands(self) -> Iterator[Frame]:
        """The same in bands of rows from the top, so that no whole copy is needed of anything."""
        width, height = self.size
        rows = max(1, _BAND_SAMPLES // (width * self.channels))
        for top in range(0, height, rows):
            alpha = None if self.alpha is None else self.alpha[..., top : top + rows, :]
            yield Frame(self.color[..., top : top + rows, :], alpha)

    def mapped(self, change: Callable[[Frame], Frame]) -> Frame:
        """What `change` makes of it, which looks at each pixel alone."""
        return change(self)


@dataclass(frozen=True)
class Strips:
    """A picture whose rows come from the top, once: `size` is (width, height).

    `made` has bands of all rows; `channels` is each one's, as in `Frame`.
    """

    size: tuple[int, int]
    channels: int
    made: Iterator[Frame]

    def bands(self) -> Iterator[Frame]:
        """The bands as they are made."""
        return self.made

    def mapped(self, change: Callable[[Frame], Frame]) -> Strips:
        """With what `change`, which looks at each pixel alone, makes of every band.

        The number of channels is known from the first one.
        """
        bands = map(change, self.made)
        first = next(bands)
        return replace(self, channels=first.channels, made=chain((first,), bands))


def from_pixels(pixels: Pixels) -> Frame:
    """The frame of an array H x W x C of uint8 or uint16; the inverse of `to_pixels`."""
    import torch

    deep = pixels.dtype == np.uint16
    # torch has few operations on uint16
    tensor = torch.from_numpy(pixels.astype(np.int32) if deep else np.array(pixels))
    planes = tensor.permute(2, 0, 1)[None].contiguous()  # H W C -> 1 C H W
    planes = planes.to(torch.float32).div_(65535 if deep else 255)
    if planes.shape[1] in (1, 3):
        return Frame(planes)
    return Frame(planes[:, :-1].contiguous(), planes[:, -1:].contiguous())


def to_pixels(frame: Frame | Strips, bits: int = 8) -> Pixels:
    """The frame as H x W x C integers of 8 or 16 bits: `(x.clamp(0, 1) * 255).round()`, or 65535.

    round() goes to the nearest, halves to the even number. Inverse of `from_pixels`: integers that
    came from there come back unchanged.
    """
    width, height = frame.size
    result = np.empty((height, width, frame.channels), np.uint8 if bits == 8 else np.uint16)
    top = 0
    for band in pixel_bands(frame, bits):
        result[top : top + len(band)] = band
        top += len(band)
    return result


def pixel_bands(frame: Frame | Strips, bits: int = 8) -> Iterator[Pixels]:
    """What `to_pixels` gives, in bands of rows from the top, so that no whole copy is needed."""
    import torch

    for part in frame.bands():
        planes = part.color[0]
        if part.alpha is not None:
            planes = torch.cat([planes, part.alpha[0]])
        scaled = planes.to("cpu", torch.float32).clamp(0, 1) * (2**bits - 1)
        band = scaled.round().permute(1, 2, 0).contiguous().numpy()  # C H W -> H W C
        yield band.astype(np.uint8 if bits == 8 else np.uint16)


def over_white(frame: Frame) -> Frame:
    """The frame as it looks on white paper: without its alpha."""
    if frame.alpha is None:
        return frame
    return Frame(frame.color * frame.alpha + (1 - frame.alpha))


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
