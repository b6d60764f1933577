"""Networks with random weights for an acceptance run: every head, small; and the classical size."""

from __future__ import annotations

from dataclasses import replace

import torch

from swin2sr_core.models.catalog import find_entry
from swin2sr_core.models.header import published_config
from swin2sr_core.models.model import Model, build_model
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.network.network import Swin2SR

CLASSICAL = published_config(find_entry("classical-x4"))

_SMALL = replace(
    CLASSICAL,
    embed_dim=60,
    depths=(2, 2),
    num_heads=(6, 6),
    mlp_dim=120,
    scale=2,
    head="pixelshuffledirect",
)

HEADS = {
    "direct x2": _SMALL,
    "direct x4": replace(_SMALL, scale=4),
    "pixelshuffle x3": replace(_SMALL, head="pixelshuffle", scale=3),
    "pixelshuffle x4": replace(_SMALL, head="pixelshuffle", scale=4),
    "nearest, 3conv": replace(_SMALL, head="nearest+conv", scale=4, residual="3conv"),
    "aux x4": replace(_SMALL, head="pixelshuffle_aux", scale=4),
    "restore, 7": replace(_SMALL, head="none", scale=1, window=7, img_range=255.0, in_channels=1),
}


def random_network(config: Swin2SRConfig) -> Swin2SR:
    """The same for the same config."""
    torch.manual_seed(0)
    return Swin2SR(config).eval().requires_grad_(False)


def model_of(config: Swin2SRConfig, precision: str, device: torch.device) -> Model:
    """That network, loaded. Raises DeviceError where the device has no such precision."""
    return build_model("random", config, random_network(config).state_dict(), precision, device)


def picture(config: Swin2SRConfig, height: int, width: int) -> torch.Tensor:
    """1 x C x height x width of noise in 0..1, on the host."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, config.in_channels, height, width, generator=generator)
