"""What a network costs and how far it looks, per LR pixel; pure functions of its config.

Work is in floating-point operations (two per multiply-add).
"""

from __future__ import annotations

from ..network.config import Swin2SRConfig
from ..network.head_costs import HEAD_COSTS


def block_work(config: Swin2SRConfig) -> int:
    """One Swin block: four linears and the two products of attention."""
    c, tokens = config.embed_dim, config.window**2
    return 2 * (4 * c * c + 2 * c * config.mlp_dim + 2 * tokens * c)


def conv_work(config: Swin2SRConfig) -> int:
    """The convolution at the end of a stage."""
    c = config.embed_dim
    if config.residual == "1conv":
        return 2 * 9 * c * c
    return 2 * (2 * 9 * c * (c // 4) + (c // 4) ** 2)


def head_work(config: Swin2SRConfig) -> int:
    """Everything around the stages: both ends' convolutions and the head."""
    ends = 2 * 2 * 9 * config.in_channels * config.embed_dim
    return ends + conv_work(config) + HEAD_COSTS[config.head].work(config)


def matrix_work(config: Swin2SRConfig) -> int:
    """The whole network."""
    blocks = sum(config.depths) * block_work(config)
    return blocks + len(config.depths) * conv_work(config) + head_work(config)


def conv_reach(config: Swin2SRConfig) -> int:
    """LR pixels that a stage's convolution looks to each side."""
    return 1 if config.residual == "1conv" else 2


def stage_margin(config: Swin2SRConfig) -> int:
    """LR pixels around a window-aligned region that decide its pixels in the deepest stage.

    A plain block ties pixels of one window together; a shifted one reaches half a window across the
    region's border. Two blocks in a row therefore look one window further, and the convolution's
    one or two pixels lie within the half window that the last shifted block adds.
    """
    return config.window * max(1, (max(config.depths) + 1) // 2)
