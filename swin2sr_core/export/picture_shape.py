"""What a graph's reshapes and masks need of the picture's size: made once, for all blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..network.config import Swin2SRConfig
from ..network.windows import BOTTOM, RIGHT, attention_masks
from .builder import GraphBuilder

Size = tuple[int, int, int]
"""Batch, height and width, where they are fixed."""


@dataclass(frozen=True)
class PictureShape:
    """Names of values in the graph; C is the embedding's channels.

    `rows` is the vector (-1, window, columns of windows, window*C), `windows` the same with its
    middle exchanged, `map` (-1, H, W, C): from a map to windows and back. `mask` is B*windows x 1 x
    tokens x tokens, what is added to the logits of shifted blocks.
    """

    rows: str
    windows: str
    map: str
    mask: str

    @classmethod
    def written(
        cls, graph: GraphBuilder, config: Swin2SRConfig, image: str, size: Size | None
    ) -> PictureShape:
        """From the shape of `image`, or from constants where `size` is fixed."""
        window, channels = config.window, config.embed_dim
        with graph.inside("shape"):
            batch, height, width = _sides(graph, image, size)
            side = graph.constant("window", [window])
            if size is None:
                rows, columns = (graph.add("Div", each, side) for each in (height, width))
            else:
                counts = [n // window for n in size[1:]]
                rows, columns = (graph.constant(f"count.{n}", [n]) for n in counts)
            rest, embedding = graph.constant("rest", [-1]), graph.constant("c", [channels])
            pixels = graph.constant("window_c", [window * channels])
            return cls(
                rows=graph.add("Concat", rest, side, columns, pixels, axis=0),
                windows=graph.add("Concat", rest, columns, side, pixels, axis=0),
                map=graph.add("Concat", rest, height, width, embedding, axis=0),
                mask=_mask(graph, config, batch, rows, columns),
            )


def _sides(graph: GraphBuilder, image: str, size: Size | None) -> list[str]:
    """Batch, height and width, each a vector of one number."""
    if size is not None:
        return [graph.constant(f"side.{side}", [side]) for side in size]
    shape = graph.add("Shape", image)
    axes = [graph.constant(f"axis.{axis}", [axis]) for axis in (0, 2, 3)]
    return [graph.add("Gather", shape, axis, axis=0) for axis in axes]


def _mask(graph: GraphBuilder, config: Swin2SRConfig, batch: str, rows: str, columns: str) -> str:
    """In the last row of windows the lower part is hidden from the upper, and so for columns.

    In the corner whatever either hides is hidden: the lower of the two.
    """
    tokens = config.window**2
    kinds = attention_masks(config.window, config.shift).numpy()
    parts = []
    for name, count, kind, axes in (
        ("bottom", rows, BOTTOM, [-1, 1, 1]),
        ("right", columns, RIGHT, [1, -1, 1]),
    ):
        shape = graph.constant(f"{name}.shape", axes)
        last = graph.add("Reshape", _last(graph, count), shape)
        hidden = graph.constant(f"{name}.mask", kinds[kind].reshape(1, 1, -1))
        parts.append(graph.add("Mul", last, hidden))
    of_one = graph.add("Min", *parts)  # rows x columns x (tokens tokens)
    square = graph.constant("tokens", [tokens, tokens])
    shape = graph.add("Concat", graph.constant("one_and_rest", [1, -1]), square, axis=0)
    of_one = graph.add("Reshape", of_one, shape)
    shape = graph.add("Concat", batch, graph.constant("ones", [1, 1, 1]), axis=0)
    of_all = graph.add("Expand", of_one, shape)
    shape = graph.add("Concat", graph.constant("rest_and_one", [-1, 1]), square, axis=0)
    return graph.add("Reshape", of_all, shape)


def _last(graph: GraphBuilder, count: str) -> str:
    """A vector of `count` numbers: zeros, and a one at the end."""
    zeros = graph.add(
        "ConstantOfShape", count, value=graph.tensor("zero", np.zeros(1, graph.dtype))
    )
    longer = graph.add("Concat", zeros, graph.constant("one", [1.0]), axis=0)
    start, end, axis = (graph.constant(f"number.{n}", [n]) for n in (1, 2**31 - 1, 0))
    return graph.add("Slice", longer, start, end, axis)
