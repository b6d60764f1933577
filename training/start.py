"""The network before the first step: from zero, from a checkpoint, or from one of another scale."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from swin2sr_core.errors import InputError
from swin2sr_core.models.catalog import resolve_model
from swin2sr_core.models.checkpoint import StateDict, load_checkpoint
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.network.network import Swin2SR

from .config import TrainingConfig

logger = logging.getLogger(__name__)

_SMALL = 0.1
"""By what the last layers of a new network are scaled: it starts close to interpolation."""


def starting_network(config: TrainingConfig) -> Swin2SR:
    """The network a run starts with, the same for the same config.

    With `start` it has that checkpoint's weights, whatever its convolutions pad with; where
    `network` differs from it in scale or head, a new head is made for the old body. Raises
    InputError where more differs.
    """
    generator = torch.Generator().manual_seed(config.seed)
    if not config.start:
        return new_network(config.network, generator)
    found, state = load_checkpoint(resolve_model(config.start))
    wanted = config.network
    if replace(found, padding_mode=wanted.padding_mode) == wanted:
        network = Swin2SR(wanted)
        network.load_state_dict(state)
        return network
    return with_new_head(state, found, wanted, generator)


def new_network(config: Swin2SRConfig, generator: torch.Generator) -> Swin2SR:
    """Random weights; with the pixelshuffledirect head it starts as bilinear interpolation, nearly.

    Linear layers are drawn from a normal distribution of 0.02 (as in Swin), convolutions keep
    their variance. Drawn from `generator` alone.
    """
    network = Swin2SR(config)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0, 0.02, generator=generator)
            elif isinstance(module, nn.Conv2d):
                fan = module.weight[0].numel()
                module.weight.normal_(0, math.sqrt(1 / fan), generator=generator)
            if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
                module.bias.zero_()
        if config.head == "pixelshuffledirect" and config.embed_dim >= config.in_channels:
            _start_as_bilinear(network)
    return network


def with_new_head(
    state: StateDict, found: Swin2SRConfig, wanted: Swin2SRConfig, generator: torch.Generator
) -> Swin2SR:
    """The body of `state`, a network of `found`, under the head of `wanted`.

    From pixelshuffledirect to the same at twice, three times ... the scale, the new head starts as
    the old one followed by nearest-neighbour enlargement; any other new head starts random.
    Raises InputError where the bodies differ.
    """
    network = new_network(wanted, generator)
    target = network.state_dict()
    head = {name for name in target if _belongs_to_head(name)}
    body = target.keys() - head
    differing = sorted(
        name for name in body if name not in state or state[name].shape != target[name].shape
    )
    surplus = sorted(name for name in state.keys() - body if not _belongs_to_head(name))
    if differing or surplus:
        raise InputError(
            f"the start's body is not that of the wanted network: `{(differing or surplus)[0]}` "
            "is missing there or has another shape; only the scale and the head can differ"
        )
    target |= {name: state[name] for name in body}
    both_direct = found.head == wanted.head == "pixelshuffledirect"
    if both_direct and wanted.scale % found.scale == 0:
        for name in head:
            target[name] = enlarged_head(state[name], found.in_channels, found.scale, wanted.scale)
    else:
        logger.info("the %s x%d head starts from random weights", wanted.head, wanted.scale)
    network.load_state_dict(target)
    return network


def enlarged_head(weight: Tensor, channels: int, scale: int, wanted: int) -> Tensor:
    """The direct head's weight or bias for x`wanted`: each of its sub-pixels becomes a square.

    (channels * scale**2) ... -> (channels * wanted**2) ..., in PixelShuffle's order.
    """
    times = wanted // scale
    squares = weight.view(channels, scale, scale, *weight.shape[1:])
    squares = squares.repeat_interleave(times, 1).repeat_interleave(times, 2)
    return squares.reshape(channels * wanted**2, *weight.shape[1:])


def _belongs_to_head(name: str) -> bool:
    body = ("conv_first.", "patch_embed.", "layers.", "norm.", "conv_after_body.")
    return not name.startswith(body)


def _start_as_bilinear(network: Swin2SR) -> None:
    """The picture passes through the first features into a head that interpolates them."""
    config = network.config
    channels, scale = config.in_channels, config.scale
    conv, head = network.conv_first, network.get_submodule("upsample.0")
    assert isinstance(head, nn.Conv2d)
    body = [each for each in network.conv_after_body.modules() if isinstance(each, nn.Conv2d)]
    body[-1].weight.mul_(_SMALL)
    conv.weight[:channels] = 0
    for c in range(channels):
        conv.weight[c, c, 1, 1] = 1
    kernel = bilinear_kernels(scale)
    weight = head.weight.mul_(_SMALL).view(channels, scale, scale, config.embed_dim, 3, 3)
    weight[:, :, :, :channels] = 0
    for c in range(channels):
        weight[c, :, :, c] = kernel


def bilinear_kernels(scale: int) -> Tensor:
    """scale x scale x 3 x 3: each sub-pixel's weights on its 3x3 neighbourhood of LR pixels."""
    offsets = (torch.arange(scale) + 0.5) / scale - 0.5
    distances = (offsets[:, None] - torch.arange(-1, 2)).abs()
    line = (1 - distances).clamp(min=0)
    return line[:, None, :, None] * line[None, :, None, :]
