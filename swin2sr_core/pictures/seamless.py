"""Textures that repeat: padding, cropping and resizing for edges that meet the opposite ones."""

from __future__ import annotations

import torch
from torch import Tensor

from .resize import resize

_FADE = 8
"""Pixels over which the two ends of an axis pass into one another."""

_ROWS = 256


def wrap_pad(image: Tensor, pixels: int) -> Tensor:
    """B C H W -> B C H+2p W+2p, every side continued with what is on the opposite one."""
    height, width = image.shape[-2:]
    rows = torch.arange(-pixels, height + pixels, device=image.device) % height
    columns = torch.arange(-pixels, width + pixels, device=image.device) % width
    return image.index_select(-2, rows).index_select(-1, columns)


def wrap_crop(image: Tensor, pixels: int, factor: int) -> Tensor:
    """The middle of an upscaled `wrap_pad(.., pixels)`, `factor` times its size: the inverse.

    Where the size is no multiple of the window, the windows at the two ends of an axis lie
    differently, and so do the results. The first pixels therefore come from what was computed
    beyond the far end, and pass over to their own within a few pixels: the seam has no step.
    """
    return _cropped(_cropped(image, pixels * factor, -1, factor), pixels * factor, -2, factor)


def _cropped(image: Tensor, border: int, axis: int, factor: int) -> Tensor:
    size = image.shape[axis] - 2 * border
    result = image.narrow(axis, border, size).clone()
    fade = min(_FADE * factor, size, border)
    beyond = image.narrow(axis, border + size, fade)
    steps = (torch.arange(fade, device=image.device, dtype=image.dtype) + 0.5) / fade
    weight = steps if axis == -1 else steps[:, None]
    first = result.narrow(axis, 0, fade)
    first.copy_(torch.lerp(beyond, first, weight))
    return result


def wrap_resize(image: Tensor, height: int, width: int) -> Tensor:
    """B C H W -> B C height width like `resize`, the filter reaching around the edges."""
    if image.shape[-1] != width:
        strips = image.split(_ROWS, dim=-2)
        image = torch.cat([_resized_columns(strip, width) for strip in strips], dim=-2)
    if image.shape[-2] != height:
        columns = image.transpose(-1, -2).split(_ROWS, dim=-2)
        image = torch.cat([_resized_columns(part, height) for part in columns], dim=-2)
        image = image.transpose(-1, -2)
    return image.contiguous()


def _resized_columns(strip: Tensor, width: int) -> Tensor:
    """The middle one of three repetitions: only the others touch the ends."""
    thrice = torch.cat([strip] * 3, dim=-1)
    return resize(thrice, strip.shape[-2], 3 * width)[..., width : 2 * width]
