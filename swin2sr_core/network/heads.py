"""The reconstruction heads: features on the LR grid -> picture on the HR grid.

Each head is data: how to build its modules (under the authors' names), how to run them, and how
far into its neighbourhood an output pixel looks. A head works on any rectangle of the map, so that
upscaling can run it in strips: what it gets wrong near a cut is at most `reach` LR pixels deep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import torch.nn.functional as F
from torch import Tensor, nn

from .config import HEAD_CHANNELS, Swin2SRConfig
from .head_costs import shuffle_steps


class Modules(Protocol):
    """The head's modules by their official names: a dictionary, or an `nn.ModuleDict`."""

    def __getitem__(self, name: str, /) -> nn.Module: ...


@dataclass(frozen=True)
class Head:
    """One way of reconstruction.

    `build(config)` gives the modules by their official names. `run(modules, features, image)` maps
    features (B embed_dim H W, any float type) and the normalised image (B C H W, float32) to
    B C scale*H scale*W, still normalised. `final` is the path of the last convolution, which stays
    in float32 when the rest is narrower. What a head costs, and how far it looks, stands in
    `head_costs`.
    """

    build: Callable[[Swin2SRConfig], dict[str, nn.Module]]
    run: Callable[[Modules, Tensor, Tensor], Tensor]
    final: str


PaddingMode = Literal["zeros", "replicate"]


def conv3x3(config: Swin2SRConfig, inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution, padded as the network's are."""
    mode = cast(PaddingMode, config.padding_mode)
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=mode)


def _conv_before_upsample(config: Swin2SRConfig) -> nn.Sequential:
    conv = conv3x3(config, config.embed_dim, HEAD_CHANNELS)
    return nn.Sequential(conv, nn.LeakyReLU(0.01, inplace=True))


def _pixelshuffle_steps(config: Swin2SRConfig) -> nn.Sequential:
    """For each step a convolution and a pixel shuffle."""
    layers: list[nn.Module] = []
    for step in shuffle_steps(config.scale):
        conv = conv3x3(config, HEAD_CHANNELS, HEAD_CHANNELS * step * step)
        layers += [conv, nn.PixelShuffle(step)]
    return nn.Sequential(*layers)


def _build_pixelshuffle(config: Swin2SRConfig) -> dict[str, nn.Module]:
    return {
        "conv_before_upsample": _conv_before_upsample(config),
        "upsample": _pixelshuffle_steps(config),
        "conv_last": conv3x3(config, HEAD_CHANNELS, config.in_channels),
    }


def _run_pixelshuffle(net: Modules, features: Tensor, image: Tensor) -> Tensor:
    return net["conv_last"](net["upsample"](net["conv_before_upsample"](features)))


def _build_direct(config: Swin2SRConfig) -> dict[str, nn.Module]:
    outputs = config.in_channels * config.scale**2
    conv = conv3x3(config, config.embed_dim, outputs)
    return {"upsample": nn.Sequential(conv, nn.PixelShuffle(config.scale))}


def _run_direct(net: Modules, features: Tensor, image: Tensor) -> Tensor:
    return net["upsample"](features)


def _build_nearest(config: Swin2SRConfig) -> dict[str, nn.Module]:
    return {
        "conv_before_upsample": _conv_before_upsample(config),
        "conv_up1": conv3x3(config, HEAD_CHANNELS, HEAD_CHANNELS),
        "conv_up2": conv3x3(config, HEAD_CHANNELS, HEAD_CHANNELS),
        "conv_hr": conv3x3(config, HEAD_CHANNELS, HEAD_CHANNELS),
        "conv_last": conv3x3(config, HEAD_CHANNELS, config.in_channels),
    }


def _run_nearest(net: Modules, features: Tensor, image: Tensor) -> Tensor:
    x = net["conv_before_upsample"](features)
    for conv in (net["conv_up1"], net["conv_up2"]):
        x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2, inplace=True)
    x = F.leaky_relu(net["conv_hr"](x), 0.2, inplace=True)
    return net["conv_last"](x)


def _build_aux(config: Swin2SRConfig) -> dict[str, nn.Module]:
    return {
        "conv_bicubic": conv3x3(config, config.in_channels, HEAD_CHANNELS),
        "conv_before_upsample": _conv_before_upsample(config),
        "conv_aux": conv3x3(config, HEAD_CHANNELS, config.in_channels),
        "conv_after_aux": nn.Sequential(
            conv3x3(config, config.in_channels, HEAD_CHANNELS), nn.LeakyReLU(0.01, inplace=True)
        ),
        "upsample": _pixelshuffle_steps(config),
        "conv_last": conv3x3(config, HEAD_CHANNELS, config.in_channels),
    }


def _run_aux(net: Modules, features: Tensor, image: Tensor) -> Tensor:
    aux = net["conv_aux"](net["conv_before_upsample"](features))
    x = net["upsample"](net["conv_after_aux"](aux))
    bicubic = F.interpolate(image, size=x.shape[-2:], mode="bicubic", align_corners=False)
    return net["conv_last"](x.add_(net["conv_bicubic"](bicubic.to(x.dtype))))


def _build_none(config: Swin2SRConfig) -> dict[str, nn.Module]:
    return {"conv_last": conv3x3(config, config.embed_dim, config.in_channels)}


def _run_none(net: Modules, features: Tensor, image: Tensor) -> Tensor:
    return image + net["conv_last"](features)


HEADS: dict[str, Head] = {
    "pixelshuffle": Head(_build_pixelshuffle, _run_pixelshuffle, "conv_last"),
    "pixelshuffledirect": Head(_build_direct, _run_direct, "upsample.0"),
    "nearest+conv": Head(_build_nearest, _run_nearest, "conv_last"),
    "pixelshuffle_aux": Head(_build_aux, _run_aux, "conv_last"),
    "none": Head(_build_none, _run_none, "conv_last"),
}
