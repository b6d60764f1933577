"""A convolution of one feature map that is added to another: in PyTorch, and as it is asked for."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..planning.tiles import Box
from ..prepared.folded import MapConv

AddConv = Callable[[MapConv, Tensor, Tensor, Box, Box], None]
"""(conv, source, target, box, bounds): target += conv(source) in the pixels of `box`.

Both maps are B H W C and as large; where there are no pixels, beyond `bounds`, the source is what
the convolution pads with.
The target may be float32 where the source is narrower.
"""


def add_conv(conv: MapConv, source: Tensor, target: Tensor, box: Box, bounds: Box) -> None:
    """See `AddConv`; the maps may be on another device than `conv`, which computes on its own."""
    context = box.grown(conv.reach, bounds)
    device = next(conv.parameters()).device
    # Contiguous, or the convolution makes a copy that no forecast knows of.
    piece = source[:, context.rows, context.columns].to(device).contiguous()
    out = as_map(conv(as_image(piece)), box.relative_to(context))
    target[:, box.rows, box.columns] += out.to(target.device)


def as_image(feature_map: Tensor) -> Tensor:
    """B H W C -> B C H W, in channels-last memory: a view."""
    return feature_map.permute(0, 3, 1, 2)


def as_map(image: Tensor, box: Box) -> Tensor:
    """B C H W -> the B H W C view of `box`; the inverse of `as_image` when box is all of it."""
    return image.permute(0, 2, 3, 1)[:, box.rows, box.columns]
