"""Masks beside pictures: which ones belong to them, whatever size they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Size = tuple[int, int]


def same_shape(size: Size, other: Size) -> bool:
    """Whether two sizes (height, width) are of one shape, to the rounding of one pixel."""
    low = max((length - 1) / side for side, length in zip(size, other, strict=True))
    high = min((length + 1) / side for side, length in zip(size, other, strict=True))
    return low <= high


def fitting_mask(mask: Tensor, frames: int, size: Size) -> Tensor:
    """H W or B|1 H W -> B|1 H W of `frames` pictures of this size (height, width), not yet scaled.

    Raises InputError for a mask of another shape, or for other pictures than these.
    """
    mask = mask[None] if mask.dim() == 2 else mask
    if mask.dim() != 3 or mask.shape[0] not in (1, frames) or 0 in mask.shape:
        raise InputError.saying(
            "mask_size",
            "the mask is {found}, expected {frames} (or 1) x {height} x {width} like the "
            "image; resize the mask first",
            found=" x ".join(str(n) for n in mask.shape),
            frames=frames,
            height=size[0],
            width=size[1],
        )
    height, width = mask.shape[1:]
    if not same_shape(size, (height, width)):
        raise InputError.saying(
            "mask_shape",
            "the mask of {width}x{height} has another shape than the image of "
            "{picture_width}x{picture_height}; make it from the same picture, or resize it "
            "first",
            width=width,
            height=height,
            picture_width=size[1],
            picture_height=size[0],
        )
    return mask
