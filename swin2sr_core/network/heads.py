"""The reconstruction heads: features on the LR grid -> picture on the HR grid.

Each head is data: how to build its modules (under the authors' names), how to run them, and how
far into its neighbourhood an output pixel looks. A head works on any rectangle of the map, so that
upscaling can run it in strips: what it gets wrong near a cut is at most `reach` LR pixels deep.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from .config import HEAD_CHANNELS, Swin2SRConfig

Modules = Mapping[str, nn.Module]
"""The head's modules by their official names."""

_FP32_BYTES = 4


@dataclass(frozen=True)
class Head:
    """One way of reconstruction.

    `build(config)` gives the modules by their official names. `run(modules, features, image)` maps
    features (B embed_dim H W, any float type) and the normalised image (B C H W, float32) to
    B C scale*H scale*W, still normalised. `final` is the path of the last convolution, which stays
    in float32 when the rest is narrower. `reach` is in LR pixels, the convolution after the body
    not counted. Per LR pixel, `work(config)` is in floating-point operations, and
    `peak(config, size)` is the most bytes that `run` holds at once, its arguments not counted, with
    features of `size` bytes per element.
    """

    build: Callable[[Swin2SRConfig], dict[str, nn.Module]]
    run: Callable[[Modules, Tensor, Tensor], Tensor]
    final: str
    reach: int
    work: Callable[[Swin2SRConfig], int]
    peak: Callable[[Swin2SRConfig, int], int]


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _conv_before_upsample(config: Swin2SRConfig) -> nn.Sequential:
    return nn.Sequential(_conv(config.embed_dim, HEAD_CHANNELS), nn.LeakyReLU(0.01, inplace=True))


def _steps(scale: int) -> list[int]:
    """x2 steps for powers of two, else one step of the whole scale."""
    return [2] * int(math.log2(scale)) if math.log2(scale).is_integer() else [scale]


def _pixelshuffle_steps(scale: int) -> nn.Sequential:
    """For each step a convolution and a pixel shuffle."""
    layers: list[nn.Module] = []
    for step in _steps(scale):
        layers += [_conv(HEAD_CHANNELS, HEAD_CHANNELS * step * step), nn.PixelShuffle(step)]
    return nn.Sequential(*layers)


def _build_pixelshuffle(config: Swin2SRConfig) -> dict[str, nn.Module]:
    return {
        "conv_before_upsample": _conv_before_upsample(config),
        "upsample": _pixelshuffle_steps(config.scale),
        "conv_last": _conv(HEAD_CHANNELS, config.in_channels),
    }


def _run_pixelshuffle(net: Modules, features: Tensor, image: Tensor) -> Tensor:
    return net["conv_last"](net["upsample"](net["conv_before_upsample"](features)))


def _build_direct(config: Swin2SRConfig) -> dict[str, nn.Module]:
    outputs = config.in_channels * config.scale**2
    return {
        "upsample": nn.Sequential(_conv(config.embed_dim, outputs), nn.PixelShuffle(config.scale))
    }


def _run_direct(net: Modules, features: Tensor, image: Tensor) -> Tensor:
    return net["upsample"](features)


def _build_nearest(config: Swin2SRConfig) -> dict[str, nn.Module]:
    return {
        "conv_before_upsample": _conv_before_upsample(config),
        "conv_up1": _conv(HEAD_CHANNELS, HEAD_CHANNELS),
        "conv_up2": _conv(HEAD_CHANNELS, HEAD_CHANNELS),
        "conv_hr": _conv(HEAD_CHANNELS, HEAD_CHANNELS),
        "conv_last": _conv(HEAD_CHANNELS, config.in_channels),
    }


def _run_nearest(net: Modules, features: Tensor, image: Tensor) -> Tensor:
    x = net["conv_before_upsample"](features)
    for conv in (net["conv_up1"], net["conv_up2"]):
        x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2, inplace=True)
    x = F.leaky_relu(net["conv_hr"](x), 0.2, inplace=True)
    return net["conv_last"](x)


def _build_aux(config: Swin2SRConfig) -> dict[str, nn.Module]:
    return {
        "conv_bicubic": _conv(config.in_channels, HEAD_CHANNELS),
        "conv_before_upsample": _conv_before_upsample(config),
        "conv_aux": _conv(HEAD_CHANNELS, config.in_channels),
        "conv_after_aux": nn.Sequential(
            _conv(config.in_channels, HEAD_CHANNELS), nn.LeakyReLU(0.01, inplace=True)
        ),
        "upsample": _pixelshuffle_steps(config.scale),
        "conv_last": _conv(HEAD_CHANNELS, config.in_channels),
    }


def _run_aux(net: Modules, features: Tensor, image: Tensor) -> Tensor:
    aux = net["conv_aux"](net["conv_before_upsample"](features))
    x = net["upsample"](net["conv_after_aux"](aux))
    bicubic = F.interpolate(image, size=x.shape[-2:], mode="bicubic", align_corners=False)
    return net["conv_last"](x.add_(net["conv_bicubic"](bicubic.to(x.dtype))))


def _build_none(config: Swin2SRConfig) -> dict[str, nn.Module]:
    return {"conv_last": _conv(config.embed_dim, config.in_channels)}


def _run_none(net: Modules, features: Tensor, image: Tensor) -> Tensor:
    return image + net["conv_last"](features)


def _conv_work(inputs: int, outputs: int, pixels: int = 1) -> int:
    return 2 * 9 * inputs * outputs * pixels


def _grids(config: Swin2SRConfig) -> list[int]:
    """HR pixels per LR pixel before each x2 (or x3) step of the head."""
    steps = _steps(config.scale)
    return [math.prod(steps[:i]) ** 2 for i in range(len(steps))]


def _work_pixelshuffle(config: Swin2SRConfig) -> int:
    wide = HEAD_CHANNELS * _steps(config.scale)[0] ** 2
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
    widened = channels * pixels * _FP32_BYTES if size != _FP32_BYTES else 0
    return widened + config.in_channels * pixels * _FP32_BYTES


def _peak_pixelshuffle(config: Swin2SRConfig, size: int) -> int:
    hr = HEAD_CHANNELS * config.scale**2
    final = hr * size + _final_bytes(HEAD_CHANNELS, config.scale**2, config, size)
    return max((2 * hr + HEAD_CHANNELS) * size, final)


def _peak_direct(config: Swin2SRConfig, size: int) -> int:
    out = config.in_channels * config.scale**2 * _FP32_BYTES
    widened = config.embed_dim * _FP32_BYTES if size != _FP32_BYTES else 0
    return out + max(widened, out)


def _peak_nearest(config: Swin2SRConfig, size: int) -> int:
    final = HEAD_CHANNELS * 16 * size + _final_bytes(HEAD_CHANNELS, 16, config, size)
    return max(HEAD_CHANNELS * (4 + 16 + 16) * size, final)


def _peak_aux(config: Swin2SRConfig, size: int) -> int:
    bicubic = config.in_channels * config.scale**2 * _FP32_BYTES
    narrowed = config.in_channels * (config.scale**2 * size if size != _FP32_BYTES else 0)
    hr = HEAD_CHANNELS * config.scale**2
    final = hr * size + _final_bytes(HEAD_CHANNELS, config.scale**2, config, size)
    aux = config.in_channels * size
    return aux + max(
        (2 * hr + HEAD_CHANNELS) * size, bicubic + max(2 * hr * size + narrowed, final)
    )


def _peak_none(config: Swin2SRConfig, size: int) -> int:
    out = config.in_channels * _FP32_BYTES
    widened = config.embed_dim * _FP32_BYTES if size != _FP32_BYTES else 0
    return out + max(widened, out)


# Reach: each 3x3 convolution looks one pixel of its own grid further. pixelshuffle: 1 (before) + 1
# + 1/2 (steps) + 1/4 (last), rounded up; nearest: 1 + 1/2 + 3 * 1/4; aux: three more at LR size.
HEADS: dict[str, Head] = {
    "pixelshuffle": Head(
        _build_pixelshuffle,
        _run_pixelshuffle,
        "conv_last",
        3,
        _work_pixelshuffle,
        _peak_pixelshuffle,
    ),
    "pixelshuffledirect": Head(
        _build_direct, _run_direct, "upsample.0", 1, _work_direct, _peak_direct
    ),
    "nearest+conv": Head(
        _build_nearest, _run_nearest, "conv_last", 3, _work_nearest, _peak_nearest
    ),
    "pixelshuffle_aux": Head(_build_aux, _run_aux, "conv_last", 5, _work_aux, _peak_aux),
    "none": Head(_build_none, _run_none, "conv_last", 1, _work_none, _peak_none),
}
