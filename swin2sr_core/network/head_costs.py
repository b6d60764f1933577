"""What each reconstruction head costs and how far it looks: arithmetic on a config, no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .config import HEAD_CHANNELS, Swin2SRConfig

_FP32_BYTES = 4


@dataclass(frozen=True)
class HeadCosts:
    """Of one head. `reach` is in LR pixels, the convolution after the body not counted.

    Per LR pixel, `work(config)` is in floating-point operations, and `peak(config, size)` is the
    most bytes that the head holds at once, its arguments not counted, with features of `size` bytes
    per element.
    """

    reach: int
    work: Callable[[Swin2SRConfig], int]
    peak: Callable[[Swin2SRConfig, int], int]


def shuffle_steps(scale: int) -> list[int]:
    """The pixel shuffles of a scale: x2 for powers of two, else one of the whole scale."""
    return [2] * int(math.log2(scale)) if math.log2(scale).is_integer() else [scale]


def _conv_work(inputs: int, outputs: int, pixels: int = 1) -> int:
    return 2 * 9 * inputs * outputs * pixels


def _grids(config: Swin2SRConfig) -> list[int]:
    """HR pixels per LR pixel before each x2 (or x3) step of the head."""
    steps = shuffle_steps(config.scale)
    return [math.prod(steps[:i]) ** 2 for i in range(len(steps))]


def _work_pixelshuffle(config: Swin2SRConfig) -> int:
    wide = HEAD_CHANNELS * shuffle_steps(config.scale)[0] ** 2
    steps = sum(_conv_work(HEAD_CHANNELS, wide, pixels) for pixels in _grids(config))
    last = _conv_work(HEAD_CHANNELS, config.in_channels, config.scale**2)
    return _conv_work(config.embed_dim, HEAD_CHANNELS) + steps + last


def _work_direct(config: Swin2SRConfig) -> int:
    return _conv_work(config.embed_dim, config.in_channels * config.scale**2)


def _work_nearest(config: Swin2SRConfig) -> int:
    body = sum(_conv_work(HEAD_CHANNELS, HEAD_CHANNELS, pixels) for pixels in (4, 16, 16))
    last = _conv_work(HEAD_CHANNELS, config.in_channels, 16)
    return _conv_work(config.embed_dim, HEAD_CHANNELS) + body + last


def _work_aux(config: Swin2SRConfig) -> int:
    aux = 2 * _conv_work(HEAD_CHANNELS, config.in_channels)
    bicubic = _conv_work(config.in_channels, HEAD_CHANNELS, config.scale**2)
    return _work_pixelshuffle(config) + aux + bicubic


def _work_none(config: Swin2SRConfig) -> int:
    return _conv_work(config.embed_dim, config.in_channels)


# What lives at the worst moment: a shuffle's input and output beside the 64 channels that entered
# the steps, an enlargement beside what it is made of and what becomes of it, or the input of the
# last convolution in both types and its output.
def _final_bytes(channels: int, pixels: int, config: Swin2SRConfig, size: int) -> int:
    return _final_inputs(channels, pixels, config, size) + config.in_channels * pixels * _FP32_BYTES


def _final_inputs(channels: int, pixels: int, config: Swin2SRConfig, size: int) -> int:
    """Of the last convolution, beside what it is given: in float32, and padded."""
    copies = (size != _FP32_BYTES) + config.pads_a_copy
    return copies * channels * pixels * _FP32_BYTES


def _peak_pixelshuffle(config: Swin2SRConfig, size: int) -> int:
    hr = HEAD_CHANNELS * config.scale**2
    final = hr * size + _final_bytes(HEAD_CHANNELS, config.scale**2, config, size)
    return max((2 * hr + HEAD_CHANNELS) * size, final)


def _peak_direct(config: Swin2SRConfig, size: int) -> int:
    out = config.in_channels * config.scale**2 * _FP32_BYTES
    return out + max(_final_inputs(config.embed_dim, 1, config, size), out)


def _peak_nearest(config: Swin2SRConfig, size: int) -> int:
    final = HEAD_CHANNELS * 16 * size + _final_bytes(HEAD_CHANNELS, 16, config, size)
    return max(HEAD_CHANNELS * (4 + 16 + 16 * (1 + config.pads_a_copy)) * size, final)


def _peak_aux(config: Swin2SRConfig, size: int) -> int:
    bicubic = config.in_channels * config.scale**2 * _FP32_BYTES
    copies = (size != _FP32_BYTES) + config.pads_a_copy
    narrowed = copies * config.in_channels * config.scale**2 * size
    hr = HEAD_CHANNELS * config.scale**2
    final = hr * size + _final_bytes(HEAD_CHANNELS, config.scale**2, config, size)
    aux = config.in_channels * size
    return aux + max(
        (2 * hr + HEAD_CHANNELS) * size, bicubic + max(2 * hr * size + narrowed, final)
    )


def _peak_none(config: Swin2SRConfig, size: int) -> int:
    out = config.in_channels * _FP32_BYTES
    return out + max(_final_inputs(config.embed_dim, 1, config, size), out)


# Reach: each 3x3 convolution looks one pixel of its own grid further. pixelshuffle: 1 (before) + 1
# + 1/2 (steps) + 1/4 (last), rounded up; nearest: 1 + 1/2 + 3 * 1/4; aux: three more at LR size.
HEAD_COSTS: dict[str, HeadCosts] = {
    "pixelshuffle": HeadCosts(3, _work_pixelshuffle, _peak_pixelshuffle),
    "pixelshuffledirect": HeadCosts(1, _work_direct, _peak_direct),
    "nearest+conv": HeadCosts(3, _work_nearest, _peak_nearest),
    "pixelshuffle_aux": HeadCosts(5, _work_aux, _peak_aux),
    "none": HeadCosts(1, _work_none, _peak_none),
}
