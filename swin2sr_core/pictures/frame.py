"""One decoded picture as tensors, and its way from and to arrays of 8- or 16-bit integers.

torch is imported where tensors are made: headers of pictures are read without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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


def to_pixels(frame: Frame, bits: int = 8) -> Pixels:
    """The frame as H x W x C integers of 8 or 16 bits: `(x.clamp(0, 1) * 255).round()`, or 65535.

    round() goes to the nearest, halves to the even number. Inverse of `from_pixels`: integers that
    came from there come back unchanged.
    """
    return np.concatenate(list(pixel_bands(frame, bits)))


def pixel_bands(frame: Frame, bits: int = 8) -> Iterator[Pixels]:
    """What `to_pixels` gives, in bands of rows from the top, so that no whole copy is needed."""
    import torch

    width, height = frame.size
    rows = max(1, _BAND_SAMPLES // (width * frame.channels))
    for top in range(0, height, rows):
        planes = frame.color[0, :, top : top + rows]
        if frame.alpha is not None:
            planes = torch.cat([planes, frame.alpha[0, :, top : top + rows]])
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
