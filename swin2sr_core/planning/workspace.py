"""How large the buffers of a band of windows are."""

from __future__ import annotations

from dataclasses import dataclass

from ..network.config import Swin2SRConfig, padded_head_dim
from ..network.window_grid import round_up

_PANEL = 32
"""Outputs of a convolution that compiled kernels compute at once, at most."""

KERNEL_TOKENS = 64
"""The most that a window has in compiled kernels: 8 x 8."""

_BIAS_KINDS = 1, 4
"""Of a plain block, and of a shifted one: inside, at either edge, and in the corner."""

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class WorkspaceSizes:
    """Elements of each buffer that a band of windows needs, of the type of the feature map.

    `layers` is no buffer: it is the most that linear layers and norms hold at once.
    """

    windows: int
    heads: int
    logits: int
    context: int
    layers: int

    @classmethod
    def of(
        cls, config: Swin2SRConfig, windows: int, precision: str = "fp32", on_gpu: bool = False
    ) -> WorkspaceSizes:
        """The buffers for bands of at most `windows` windows, in any stage of the network."""
        tokens, dim, hidden = config.window**2, config.embed_dim, config.mlp_dim
        rows = windows * tokens
        heads = max(config.num_heads)
        padded = max(h * padded_head_dim(dim // h) for h in config.num_heads)
        layers = max(3 * padded, hidden + dim)
        if precision == "int8":  # beside the input: its levels, these in int8, and the sums
            sums = 2 if on_gpu else 1  # in int32 and in float
            layers = max(dim + dim // 4 + sums * 3 * padded, 2 * hidden + hidden // 4 + sums * dim)
        return cls(
            windows=rows * dim,
            heads=rows * 3 * padded,
            logits=rows * heads * tokens,
            context=rows * padded,
            layers=rows * layers,
        )

    @property
    def total(self) -> int:
        """At the fullest moment of a block."""
        return sum(vars(self).values())

    @property
    def kept(self) -> int:
        """What lasts as long as the workspace."""
        return self.total - self.layers


def packed_bytes(config: Swin2SRConfig, element_bytes: int) -> int:
    """What compiled kernels keep once more: weights, and biases of position.

    `element_bytes` is of a weight; a bias of position is float32.
    """
    dim, hidden = config.embed_dim, config.mlp_dim
    weights = 4 * dim * dim + 2 * dim * hidden
    size = 0
    for depth, heads in zip(config.depths, config.num_heads, strict=True):
        for block in range(depth):
            bias = _BIAS_KINDS[block % 2] * heads * KERNEL_TOKENS**2
            size += weights * element_bytes + bias * _FLOAT_BYTES
    if not kernels_convolve(config):
        return size
    convs = len(config.depths) + 1
    return size + convs * 9 * dim * round_up(dim, _PANEL) * element_bytes


def kernels_convolve(config: Swin2SRConfig) -> bool:
    """Whether compiled kernels have the stages' convolutions too."""
    return config.residual == "1conv"


def scratch_bytes(config: Swin2SRConfig, element_bytes: int) -> int:
    """What one thread of a compiled kernel has for a window; `Memory` of native/window.h."""
    dim, hidden = config.embed_dim, config.mlp_dim
    width = max(dim // heads for heads in config.num_heads)
    floats = dim + 3 * width + KERNEL_TOKENS // 2  # y, a head, and its scores
    stream = dim if element_bytes < _FLOAT_BYTES else 0
    words = (2 * dim + hidden) * element_bytes
    return KERNEL_TOKENS * ((floats + stream) * _FLOAT_BYTES + words)
