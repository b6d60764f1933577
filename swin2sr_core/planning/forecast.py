"""The memory forecast of a pass: live tensor bytes, phase by phase as the engine runs them.

The weights and the caller's input are not included. Every function is pure arithmetic on a
`PassPlan`; the phases are the embedding, the stages of the body, and the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..network.head_costs import HEAD_COSTS
from .costs import conv_reach
from .tiles import longest_piece
from .workspace import WorkspaceSizes

if TYPE_CHECKING:
    from .pass_plan import PassPlan

ELEMENT_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 4}
"""Of the feature maps; int8 keeps everything between its products in float32."""

FP32_BYTES = 4
BF16_BYTES = 2
INDEX_BYTES = 4

Terms = tuple[tuple[str, int], ...]
"""(what it is for, bytes) pairs."""


def total(terms: Terms) -> int:
    return sum(size for _, size in terms)


def device_terms(plan: PassPlan) -> Terms:
    """What is live on the compute device at its fullest moment."""
    if plan.strategy == "tiled":
        tile = tuple((f"tile: {name}", size) for name, size in device_terms(plan.tile_plan))
        return (*_resident_terms(plan), *tile)
    return max((phase(plan) for phase in (_embed_terms, _body_terms, _head_terms)), key=total)


def host_bytes(plan: PassPlan) -> int:
    """The most that is live in host memory besides what the compute device holds."""
    return _host_bytes(plan, 2)


def total_bytes(plan: PassPlan) -> int:
    """The most that is live on the device and the host together."""
    if plan.strategy == "tiled":
        return total(device_terms(plan)) + host_bytes(plan)
    return max(
        total(_embed_terms(plan)) + _host_bytes(plan, 2),
        total(_body_terms(plan)) + _host_bytes(plan, 2),
        total(_head_terms(plan)) + _host_bytes(plan, 1),
    )


def _host_bytes(plan: PassPlan, maps: int) -> int:
    """*staged* has two maps in the host's memory, and one when only the head is left."""
    staged = maps * _map_bytes(plan) if plan.strategy == "staged" else 0
    return staged + (0 if plan.unified else total(picture_terms(plan)))


def _map_bytes(plan: PassPlan) -> int:
    """One feature map of all images of the batch."""
    return plan.batch * plan.bounds.area * plan.config.embed_dim * ELEMENT_BYTES[plan.precision]


def picture_terms(plan: PassPlan) -> Terms:
    """The pass's output, its padded input, and the pictures that wait meanwhile."""
    channels, scale = plan.config.in_channels, plan.config.scale
    output = plan.height * plan.width * channels * scale**2 * FP32_BYTES
    padded = plan.bounds.area * channels * FP32_BYTES
    return (("pictures", plan.batch * (output + padded) + plan.other_bytes),)


def _resident_terms(plan: PassPlan) -> Terms:
    return picture_terms(plan) if plan.unified else ()


def _embed_terms(plan: PassPlan) -> Terms:
    """The embedding fills the first map: a piece as it comes, without its context, and normed."""
    config = plan.config
    piece, inner = (_conv_piece(plan, plan.bounds.height, plan.bounds.width, m) for m in (1, 0))
    cut_out = inner if piece > inner else 0  # without its context the piece is a copy
    features = (piece + cut_out + inner) * config.embed_dim * FP32_BYTES
    image = 0 if plan.unified else piece * config.in_channels * FP32_BYTES
    maps = _map_bytes(plan) if plan.strategy == "whole" else 0
    return (
        *_resident_terms(plan),
        ("feature maps", maps),
        ("embedding", plan.batch * (features + image)),
    )


def _conv_piece(plan: PassPlan, height: int, width: int, margin: int) -> int:
    """Pixels of the largest piece of a convolution over height x width, context included."""
    rows = longest_piece(height, plan.conv_side, margin, height)
    return rows * longest_piece(width, plan.conv_side, margin, width)


def _body_terms(plan: PassPlan) -> Terms:
    """A stage: two maps of the largest region, window indices, and a band or a convolution."""
    size, channels = ELEMENT_BYTES[plan.precision], plan.config.embed_dim
    height, width = plan.largest_region
    pixels = plan.batch * height * width
    conv = plan.batch * _conv_piece(plan, height, width, conv_reach(plan.config))
    if plan.conv_side < width:
        conv *= 2  # a piece of a wider map is copied before it is convolved
    sizes = WorkspaceSizes.of(plan.config, plan.band_windows, plan.precision, not plan.unified)
    windows = min(plan.band_windows, pixels // plan.config.window**2)
    layers = WorkspaceSizes.of(plan.config, windows, plan.precision, not plan.unified).layers
    return (
        *_resident_terms(plan),
        ("feature maps", 2 * pixels * channels * size),
        ("window indices", 2 * pixels * INDEX_BYTES),
        ("band", sizes.kept * size),
        ("layers and convolutions", max(conv * channels, layers) * size),
    )


def _head_terms(plan: PassPlan) -> Terms:
    """The head: what is left of the maps, and one piece with its context."""
    config, map_size = plan.config, ELEMENT_BYTES[plan.precision]
    size = BF16_BYTES if plan.narrow_head else map_size
    reach = HEAD_COSTS[config.head].reach + conv_reach(config)
    rows = longest_piece(plan.height, plan.strip_side, reach, plan.padded_height)
    columns = longest_piece(plan.width, plan.strip_side, reach, plan.padded_width)
    context = plan.batch * rows * columns
    image = 0 if plan.unified else config.in_channels * FP32_BYTES
    features = config.embed_dim * size
    normed = map_size + size if plan.narrow_head else 0  # the map's type, and brought to the head's
    peak = max(
        HEAD_COSTS[config.head].peak(config, size), config.embed_dim * max(normed, FP32_BYTES)
    )
    maps = _map_bytes(plan) if plan.strategy == "whole" else 0
    return (
        *_resident_terms(plan),
        ("feature maps", maps),
        ("head", context * (features + image + peak)),
    )
