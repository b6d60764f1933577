"""A Swin V2 block as ONNX nodes (Swin V2, section 3), on maps of B x H x W x C.

Linear layers and norms work on rows of tokens, (B windows tokens) x C, and nothing has more than
four axes: some runtimes take no more.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ..network.network import COSINE_EPS, MAX_LOGIT_SCALE, Mlp, SwinBlock, WindowAttention
from ..network.windows import position_table, relative_index
from ..prepared.precision import qkv_of
from .builder import GraphBuilder
from .layers import layer_norm, linear, narrowed, widened
from .picture_shape import PictureShape

_END = 2**31 - 1
"""Of a slice that goes to the end."""

_MOST_FACTOR = 2.0**15
"""In fp16. Where GELU's factor would be larger, only hidden values below 1e-4 are rounded by it."""


class BlockWriter:
    """Writes blocks into a graph; names of values go in and out."""

    def __init__(self, graph: GraphBuilder, shape: PictureShape) -> None:
        self.graph, self.shape = graph, shape

    def write(self, block: SwinBlock, x: str) -> str:
        """B H W C -> B H W C."""
        graph = self.graph
        if block.shift:
            x = self._rolled(x, block.shift)
        x = self._partition(x, block.norm1.weight.numel())
        with graph.inside("attn"):
            y = self._attention(block.attn, x, shifted=block.shift > 0)
        x = graph.add("Add", x, layer_norm(graph, "norm1", y, block.norm1))
        with graph.inside("mlp"):
            y = self._mlp(block.mlp, x)
        x = graph.add("Add", x, layer_norm(graph, "norm2", y, block.norm2))
        x = self._merge(x)
        return self._rolled(x, -block.shift) if block.shift else x

    # -- windows -------------------------------------------------------------------------------

    def _rolled(self, x: str, shift: int) -> str:
        """The map as seen from `shift` pixels further down and right, on its torus."""
        graph = self.graph
        start, middle, end = (graph.constant(f"number.{n}", [n]) for n in (0, shift, _END))
        for axis in (1, 2):
            along = graph.constant(f"number.{axis}", [axis])
            before = graph.add("Slice", x, start, middle, along)
            after = graph.add("Slice", x, middle, end, along)
            x = graph.add("Concat", after, before, axis=axis)
        return x

    def _partition(self, x: str, channels: int) -> str:
        """B (y h) (x w) C -> (B y x h w) C; the inverse of `_merge`."""
        graph = self.graph
        rows = graph.add("Reshape", x, self.shape.rows)  # (B y) h x (w C)
        windows = graph.add("Transpose", rows, perm=[0, 2, 1, 3])
        return graph.add("Reshape", windows, graph.constant("rows.c", [-1, channels]))

    def _merge(self, x: str) -> str:
        """(B y x h w) C -> B (y h) (x w) C."""
        windows = self.graph.add("Reshape", x, self.shape.windows)  # (B y) x h (w C)
        rows = self.graph.add("Transpose", windows, perm=[0, 2, 1, 3])
        return self.graph.add("Reshape", rows, self.shape.map)

    # -- the two branches ----------------------------------------------------------------------

    def _attention(self, attention: WindowAttention, x: str, shifted: bool) -> str:
        """Rows of tokens -> the same, with their windows' attention (Swin V2, equation 2)."""
        graph, heads = self.graph, attention.heads
        tokens, channels = attention.window**2, attention.qkv.in_features
        split = graph.add_many(
            "Split",
            [
                linear(graph, "qkv", x, *qkv_of(attention)),
                graph.constant("thirds", [channels] * 3),
            ],
            3,
            axis=1,
        )
        per_head = graph.constant(f"heads.{heads}", [-1, tokens, heads, channels // heads])
        q, k, v = (graph.add("Reshape", each, per_head) for each in split)
        scale = attention.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp().view(1, 1, heads, 1)
        q = graph.add("Transpose", self._unit(q, "temperature", scale), perm=[0, 2, 1, 3])
        k = graph.add("Transpose", self._unit(k), perm=[0, 2, 3, 1])
        v = graph.add("Transpose", v, perm=[0, 2, 1, 3])
        logits = graph.add("Add", graph.add("MatMul", q, k), self._position_bias(attention))
        if shifted:
            logits = graph.add("Add", logits, self.shape.mask)
        out = graph.add("MatMul", graph.add("Softmax", logits, axis=-1), v)
        out = graph.add("Transpose", out, perm=[0, 2, 1, 3])
        out = graph.add("Reshape", out, graph.constant("rows.c", [-1, channels]))
        return linear(graph, "proj", out, attention.proj.weight, attention.proj.bias)

    def _unit(self, x: str, name: str = "one", scale: torch.Tensor | None = None) -> str:
        """Each head's row divided by its norm, times `scale`; in float32, where 1e-12 exists."""
        graph = self.graph
        x = widened(graph, x)
        norm = graph.add("ReduceL2", x, axes=[-1], keepdims=1)
        norm = graph.add("Max", norm, graph.stored("eps", np.float32(COSINE_EPS)))
        if scale is None:
            return narrowed(graph, graph.add("Div", x, norm))
        factor = graph.add("Div", graph.weight(name, scale, wide=True), norm)
        return narrowed(graph, graph.add("Mul", x, factor))

    def _position_bias(self, attention: WindowAttention) -> str:
        """heads x tokens x tokens: kept as one number per offset, which are far fewer."""
        table = position_table(attention.cpb_mlp, attention.window).t()
        index = self.graph.stored(
            f"offsets.{attention.window}", relative_index(attention.window).numpy().astype(np.int32)
        )
        return self.graph.add("Gather", self.graph.weight("bias", table), index, axis=1)

    def _mlp(self, mlp: Mlp, x: str) -> str:
        graph = self.graph
        hidden = linear(graph, "fc1", x, mlp.fc1.weight, mlp.fc1.bias)
        return linear(
            graph, "fc2", self._gelu(hidden, mlp.hidden_scale), mlp.fc2.weight, mlp.fc2.bias
        )

    def _gelu(self, x: str, scale: float) -> str:
        """scale * GELU(x / scale) by the error function; the factor is all that `scale` changes."""
        graph = self.graph
        factor = min(1 / scale, _MOST_FACTOR)
        inner = x
        if factor != 1:
            inner = graph.add("Mul", x, graph.constant(f"factor.{factor:g}", factor))
        inner = graph.add("Div", inner, graph.constant("sqrt2", math.sqrt(2)))
        inner = graph.add("Add", graph.add("Erf", inner), graph.constant("one", 1.0))
        return graph.add("Mul", graph.add("Mul", x, inner), graph.constant("half", 0.5))
