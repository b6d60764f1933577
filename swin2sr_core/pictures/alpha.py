"""Upscaling what is not three opaque channels: transparency and grey."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .frame import Frame

Upscale = Callable[[Tensor], Tensor]
"""1 x 3 x H x W in 0..1 -> 1 x 3 x h x w."""


def upscale_frame(frame: Frame, upscale: Upscale) -> Frame:
    """The frame through `upscale`: grey stays one channel, alpha goes its own way.

    Grey is given to the network three times and the mean of its three answers taken. Colours under
    fully transparent pixels are replaced by their visible neighbours' first, so that what nobody
    could see does not tint the edges. Alpha goes through the network like grey, within the bounds
    of its neighbourhood (see `_within_neighbours`); a constant alpha costs no pass.
    """
    color = frame.color if frame.alpha is None else bleed(frame.color, frame.alpha)
    result = _upscale_planes(color, upscale)
    if frame.alpha is None:
        return Frame(result)
    return Frame(result, _upscale_alpha(frame.alpha, (result.shape[2], result.shape[3]), upscale))


def bleed(color: Tensor, alpha: Tensor) -> Tensor:
    """Colours under fully transparent pixels, replaced by those of visible pixels near them.

    color: 1 x C x H x W; alpha: 1 x 1 x H x W. Visible pixels (alpha > 0) keep theirs exactly.
    The holes are filled from averages over 2 x 2, 4 x 4, ... pixels, weighted by alpha, from the
    smallest that sees anything (pull-push; Gortler et al., The Lumigraph, 1996): linear in the
    number of pixels. Returns `color` itself if nothing is, or everything is, transparent.
    """
    if bool((alpha > 0).all()) or not bool((alpha > 0).any()):
        return color
    return _filled(color, alpha.clamp(0, 1))


def _filled(color: Tensor, weight: Tensor) -> Tensor:
    seen = weight > 0
    if bool(seen.all()):
        return color
    kernel = (min(2, color.shape[2]), min(2, color.shape[3]))
    coarse_weight = F.avg_pool2d(weight, kernel, ceil_mode=True)
    coarse = F.avg_pool2d(color * weight, kernel, ceil_mode=True)
    coarse = coarse / coarse_weight.clamp_min(torch.finfo(weight.dtype).tiny)
    coarse = _filled(coarse, (coarse_weight > 0).to(weight.dtype))
    smooth = F.interpolate(coarse, color.shape[2:], mode="bilinear", align_corners=False)
    return torch.where(seen, color, smooth)


def _upscale_planes(planes: Tensor, upscale: Upscale) -> Tensor:
    if planes.shape[1] == 3:
        return upscale(planes)
    return upscale(planes.expand(-1, 3, -1, -1)).mean(dim=1, keepdim=True)


def _upscale_alpha(alpha: Tensor, size: tuple[int, int], upscale: Upscale) -> Tensor:
    if bool((alpha == alpha[0, 0, 0, 0]).all()):
        return alpha[:, :, :1, :1].expand(-1, -1, *size).clone()
    return _within_neighbours(_upscale_planes(alpha, upscale), alpha)


def _within_neighbours(result: Tensor, alpha: Tensor) -> Tensor:
    """Clamp to what alpha has in the 3 x 3 pixels around: an opaque area stays fully opaque.

    A network is a hair off on flat areas and overshoots at edges; in alpha that is a veil.
    """
    most = F.max_pool2d(alpha, 3, stride=1, padding=1)
    least = -F.max_pool2d(-alpha, 3, stride=1, padding=1)
    size = (result.shape[2], result.shape[3])
    low, high = (F.interpolate(bound, size, mode="nearest") for bound in (least, most))
    return result.clamp(0, 1).clamp(low.to(result.device), high.to(result.device))
