"""The network as an ONNX graph, written node by node: B C H W in 0..1 -> B C scale*H scale*W.

Height, width and batch may stay open. Every operator is one that TensorRT, DirectML and OpenVINO
have in common: windows are cut by reshapes and transposes of at most four axes, shifts are slices
put together anew, and the masks are made once per run from the picture's size. Padding, tiles, and
what else a picture needs stay outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn

from ..network.network import Stage, Swin2SR, SwinBlock, image_mean
from ..prepared.fold import folded_1x1
from ..prepared.precision import probe, rescaled
from .block_graph import BlockWriter
from .builder import GraphBuilder
from .extra import needed
from .head_graph import HEAD_GRAPHS
from .layers import convolution, layer_norm, narrowed
from .picture_shape import PictureShape

if TYPE_CHECKING:
    from onnx import GraphProto, ValueInfoProto

OPSET = 17
"""The first with LayerNormalization: older runtimes know it, newer ones still do."""

INPUT, OUTPUT = "image", "upscaled"


@torch.no_grad()
def build_graph(
    network: Swin2SR, precision: str = "fp32", size: tuple[int, int] | None = None
) -> GraphProto:
    """The graph of `network` (fp32, left as it is) in fp32 or fp16; picture in and out are fp32.

    `size` (height, width; multiples of the window) fixes these, and a batch of one; else all three
    are open. In fp16 the weights are first scaled so that nothing overflows, as in
    `prepared.precision`, and what that keeps in float32 is float32 here.
    """
    narrow = precision == "fp16"
    if narrow:
        network = rescaled(network, probe(network))
    graph = GraphBuilder(np.float16 if narrow else np.float32)
    fixed = (1, *size) if size else None
    image = _normalised(graph, network)
    features = _features(
        graph, network, image, PictureShape.written(graph, network.config, INPUT, fixed)
    )
    with graph.inside("head"):
        out = HEAD_GRAPHS[network.config.head](graph, network, features, image)
    _finished(graph, network, out)
    return needed("onnx").helper.make_graph(
        graph.nodes,
        "swin2sr",
        [_picture(INPUT, network, fixed, 1)],
        [_picture(OUTPUT, network, fixed, network.config.scale)],
        list(graph.initializers.values()),
    )


def _picture(
    name: str, network: Swin2SR, size: tuple[int, ...] | None, scale: int
) -> ValueInfoProto:
    """The picture that goes in or comes out; open sides have names."""
    onnx, channels = needed("onnx"), network.config.in_channels
    if size is not None:
        sides = [size[0], *(side * scale for side in size[1:])]
    else:
        behind = f"_x{scale}" if scale > 1 else ""
        sides = ["batch", f"height{behind}", f"width{behind}"]
    shape = [sides[0], channels, *sides[1:]]
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _normalised(graph: GraphBuilder, network: Swin2SR) -> str:
    """The picture less its mean, times its range: in float32, as all that reads it."""
    config, x = network.config, INPUT
    if config.in_channels == 3:
        x = graph.add("Sub", x, graph.stored("mean", image_mean(config).numpy()))
    if config.img_range != 1:
        x = graph.add("Mul", x, graph.stored("range", np.float32(config.img_range)))
    return x


def _finished(graph: GraphBuilder, network: Swin2SR, out: str) -> None:
    """The inverse of `_normalised`; what comes last is the graph's output."""
    config = network.config
    if config.img_range != 1:
        out = graph.add("Div", out, graph.stored("range", np.float32(config.img_range)))
    if config.in_channels == 3:
        graph.add("Add", out, graph.stored("mean", image_mean(config).numpy()))
    graph.nodes[-1].output[0] = OUTPUT


def _features(graph: GraphBuilder, network: Swin2SR, image: str, shape: PictureShape) -> str:
    """What enters the head, B C H W."""
    embedding = folded_1x1(network.conv_first, network.patch_embed.proj)
    x = _as_map(graph, convolution(graph, "patch_embed", image, embedding, wide=True))
    norm = cast(nn.LayerNorm, network.patch_embed.norm)
    x = narrowed(graph, layer_norm(graph, "patch_embed.norm", x, norm, wide=True))
    for index, stage in enumerate(network.layers):
        with graph.inside(f"layers.{index}"):
            x = _stage(graph, cast(Stage, stage), x, shape)
    x = _as_image(graph, layer_norm(graph, "norm", x, network.norm))
    x = convolution(graph, "conv_after_body", x, network.conv_after_body)
    shallow = convolution(graph, "conv_first", image, network.conv_first, wide=True)
    return graph.add("Add", x, narrowed(graph, shallow))


def _stage(graph: GraphBuilder, stage: Stage, x: str, shape: PictureShape) -> str:
    """B H W C -> B H W C."""
    writer, y = BlockWriter(graph, shape), x
    for index, block in enumerate(stage.residual_group.blocks):
        with graph.inside(f"blocks.{index}"):
            y = writer.write(cast(SwinBlock, block), y)
    folded = folded_1x1(stage.conv, stage.patch_embed.proj)
    y = convolution(graph, "conv", _as_image(graph, y), folded)
    return graph.add("Add", x, _as_map(graph, y))


def _as_image(graph: GraphBuilder, x: str) -> str:
    """B H W C -> B C H W."""
    return graph.add("Transpose", x, perm=[0, 3, 1, 2])


def _as_map(graph: GraphBuilder, x: str) -> str:
    """B C H W -> B H W C."""
    return graph.add("Transpose", x, perm=[0, 2, 3, 1])
