"""The reconstruction heads as ONNX nodes; each is the twin of one in `network.heads`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..network.network import Swin2SR
from .builder import GraphBuilder
from .layers import convolution, narrowed, widened

HeadWriter = Callable[[GraphBuilder, Swin2SR, str, str], str]
"""(graph, network, features B C H W, normalised picture in float32) -> picture in float32."""


class _Head:
    """The modules of one network's head, to be written by their names."""

    def __init__(self, graph: GraphBuilder, network: Swin2SR) -> None:
        self.graph, self.network = graph, network

    def conv(self, name: str, x: str) -> str:
        return convolution(self.graph, name, x, self.network.get_submodule(name))

    def final(self, name: str, x: str) -> str:
        """The last convolution, in float32."""
        x = widened(self.graph, x)
        return convolution(self.graph, name, x, self.network.get_submodule(name), wide=True)


def _pixelshuffle(graph: GraphBuilder, network: Swin2SR, features: str, image: str) -> str:
    head = _Head(graph, network)
    x = head.conv("upsample", head.conv("conv_before_upsample", features))
    return head.final("conv_last", x)


def _direct(graph: GraphBuilder, network: Swin2SR, features: str, image: str) -> str:
    return _Head(graph, network).final("upsample", features)


def _nearest(graph: GraphBuilder, network: Swin2SR, features: str, image: str) -> str:
    head = _Head(graph, network)
    x = head.conv("conv_before_upsample", features)
    for name in ("conv_up1", "conv_up2"):
        x = _leaky(graph, head.conv(name, _doubled(graph, x)))
    return head.final("conv_last", _leaky(graph, head.conv("conv_hr", x)))


def _aux(graph: GraphBuilder, network: Swin2SR, features: str, image: str) -> str:
    head = _Head(graph, network)
    aux = head.conv("conv_aux", head.conv("conv_before_upsample", features))
    x = head.conv("upsample", head.conv("conv_after_aux", aux))
    config = network.config
    enlarged = narrowed(graph, _bicubic(graph, image, config.in_channels, config.scale))
    return head.final("conv_last", graph.add("Add", x, head.conv("conv_bicubic", enlarged)))


def _none(graph: GraphBuilder, network: Swin2SR, features: str, image: str) -> str:
    return graph.add("Add", image, _Head(graph, network).final("conv_last", features))


def _leaky(graph: GraphBuilder, x: str) -> str:
    return graph.add("LeakyRelu", x, alpha=0.2)


def _doubled(graph: GraphBuilder, x: str) -> str:
    return graph.add(
        "Resize",
        x,
        "",
        graph.stored("doubled", np.array([1, 1, 2, 2], np.float32)),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _bicubic(graph: GraphBuilder, image: str, channels: int, scale: int) -> str:
    """Bicubic enlargement as a convolution and a pixel shuffle: not every runtime resizes so.

    The weights are what an impulse becomes: the same for every pixel, and two pixels reach.
    """
    margin = [0, 0, 2, 2] * 2
    padded = graph.add("Pad", image, graph.constant("margin", margin), mode="edge")
    kernel = _bicubic_kernel(scale)
    weight = torch.zeros(channels * scale**2, channels, 5, 5)
    for channel in range(channels):
        weight[channel * scale**2 : (channel + 1) * scale**2, channel] = kernel
    phases = graph.add("Conv", padded, graph.weight("bicubic", weight, wide=True))
    return graph.add("DepthToSpace", phases, blocksize=scale, mode="CRD")


def _bicubic_kernel(scale: int) -> Tensor:
    """scale**2 x 5 x 5: what each of a pixel's HR pixels takes of its neighbourhood."""
    impulses = torch.eye(25).view(25, 1, 5, 5)
    padded = F.pad(impulses, (2, 2, 2, 2))
    enlarged = F.interpolate(padded, scale_factor=scale, mode="bicubic", align_corners=False)
    middle = enlarged[..., 4 * scale : 5 * scale, 4 * scale : 5 * scale]
    return middle.reshape(25, scale**2).t().reshape(scale**2, 5, 5)


HEAD_GRAPHS: dict[str, HeadWriter] = {
    "pixelshuffle": _pixelshuffle,
    "pixelshuffledirect": _direct,
    "nearest+conv": _nearest,
    "pixelshuffle_aux": _aux,
    "none": _none,
}
