"""Layers as ONNX nodes: what the blocks, the stages and the heads have in common."""

from __future__ import annotations

from typing import cast

import numpy as np
from torch import Tensor, nn

from .builder import GraphBuilder


def linear(graph: GraphBuilder, name: str, x: str, weight: Tensor, bias: Tensor) -> str:
    """Rows x in -> rows x out; weight is out x in."""
    with graph.inside(name):
        return graph.add(
            "Gemm", x, graph.weight("weight", weight), graph.weight("bias", bias), transB=1
        )


def layer_norm(
    graph: GraphBuilder, name: str, x: str, norm: nn.LayerNorm, wide: bool = False
) -> str:
    """Over the last axis; `wide`: of float32, whatever the graph's type."""
    with graph.inside(name):
        weight = graph.weight("weight", norm.weight, wide)
        bias = graph.weight("bias", norm.bias, wide)
        return graph.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=norm.eps)


def convolution(
    graph: GraphBuilder, name: str, x: str, module: nn.Module, wide: bool = False
) -> str:
    """B C H W -> B C' H W: a convolution, or several with leaky ReLUs and pixel shuffles between.

    `wide`: of float32, whatever the graph's type.
    """
    with graph.inside(name):
        if not isinstance(module, nn.Sequential):
            return _layer(graph, x, module, wide)
        for index, layer in enumerate(module):
            with graph.inside(str(index)):
                x = _layer(graph, x, layer, wide)
        return x


def _layer(graph: GraphBuilder, x: str, layer: nn.Module, wide: bool) -> str:
    if isinstance(layer, nn.LeakyReLU):
        return graph.add("LeakyRelu", x, alpha=layer.negative_slope)
    if isinstance(layer, nn.PixelShuffle):
        return graph.add("DepthToSpace", x, blocksize=layer.upscale_factor, mode="CRD")
    return _conv(graph, x, cast(nn.Conv2d, layer), wide)


def _conv(graph: GraphBuilder, x: str, conv: nn.Conv2d, wide: bool) -> str:
    kernel = list(conv.kernel_size)
    around = [side // 2 for side in kernel] * 2
    if conv.padding_mode == "replicate":
        margin = graph.constant("margin", [0, 0, *around[:2]] * 2)
        x, around = graph.add("Pad", x, margin, mode="edge"), [0] * 4
    return graph.add(
        "Conv",
        x,
        graph.weight("weight", conv.weight, wide),
        graph.weight("bias", cast(Tensor, conv.bias), wide),
        kernel_shape=kernel,
        pads=around,
    )


def narrowed(graph: GraphBuilder, x: str) -> str:
    """A float32 value in the graph's type."""
    return x if graph.dtype is np.float32 else graph.cast(x, graph.dtype)


def widened(graph: GraphBuilder, x: str) -> str:
    """A value of the graph's type in float32."""
    return x if graph.dtype is np.float32 else graph.cast(x, np.float32)
