"""Prepares a network for inference: everything that depends on weights alone, computed once.

Folded in: the position bias and its masks, the temperature, the 1x1 convolution behind each 3x3,
and padding of the heads to a size the hardware likes. The padding of v carries a column of ones, so
that the product with the attention weights also yields their sum, and softmax needs no pass of its
own to normalise.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn

from ..network.config import padded_head_dim
from ..network.heads import HEADS, PaddingMode
from ..network.network import (
    MAX_LOGIT_SCALE,
    Stage,
    Swin2SR,
    SwinBlock,
    WindowAttention,
    image_mean,
)
from ..network.windows import attention_masks, position_bias
from .folded import (
    ExactConv2d,
    FoldedAttention,
    FoldedBlock,
    FoldedNetwork,
    FoldedStage,
    Layer,
    MapConv,
    PictureConv,
)
from .linears import Linear
from .quantization import GELU_MINIMUM, QuantizedLinear

LOG2_E = math.log2(math.e)

_EXPONENT_ROOM = 110.0
"""Base-2 exponents within +-110 of zero keep fp32 and bf16 sums of 64 terms normal and finite."""


@torch.inference_mode(False)  # a network that is moved later may not be of inference tensors
@torch.no_grad()
def fold(
    network: Swin2SR,
    dtype: torch.dtype,
    device: torch.device,
    quantized: Collection[str] = (),
) -> FoldedNetwork:
    """Prepare `network` (fp32, any device) to run in `dtype` on `device`; it is not changed.

    `quantized` names the linear layers that compute in int8 (`dtype` is float32 then).
    """
    network = copy.deepcopy(network).float().cpu()
    config = network.config
    to = _Placement(dtype, device, frozenset(quantized))
    return FoldedNetwork(
        config=config,
        dtype=dtype,
        mean=image_mean(config).to(device),
        conv_first=to.picture(network.conv_first),
        embed=to.picture(folded_1x1(network.conv_first, network.patch_embed.proj)),
        embed_norm=replace(to, dtype=torch.float32).norm(
            cast(nn.LayerNorm, network.patch_embed.norm)
        ),
        stages=[
            _fold_stage(cast(Stage, stage), f"layers.{index}", to)
            for index, stage in enumerate(network.layers)
        ],
        norm=to.norm(network.norm),
        conv_after_body=to.conv(network.conv_after_body),
        head=_fold_head(network, to),
    )


@dataclass(frozen=True)
class _Placement:
    """Where and as what the folded tensors end up."""

    dtype: torch.dtype
    device: torch.device
    quantized: frozenset[str]

    def tensor(self, tensor: Tensor) -> Tensor:
        return tensor.detach().to(self.device, self.dtype).contiguous()

    def scale(self, tensor: Tensor) -> Tensor:
        """What multiplies norms, which need float32 where fp16 would not hold them."""
        dtype = torch.float32 if self.dtype == torch.float16 else self.dtype
        return replace(self, dtype=dtype).tensor(tensor)

    def norm(self, module: nn.LayerNorm) -> nn.LayerNorm:
        return module.to(self.device, self.dtype).requires_grad_(False)

    def linear(self, name: str, weight: Tensor, bias: Tensor, lowest: float | None = None) -> Layer:
        """`lowest` is what no input of the layer is below, if that is known."""
        if name not in self.quantized:
            return Linear(self.tensor(weight), self.tensor(bias))
        weight, bias = (each.detach().to(self.device) for each in (weight, bias))
        return QuantizedLinear.of(weight, bias, lowest)

    def picture(self, conv: nn.Module) -> nn.Module:
        return _channels_last(PictureConv(copy.deepcopy(conv)).to(self.device))

    def module(self, module: nn.Module) -> nn.Module:
        return _channels_last(module.to(self.device, self.dtype))

    def conv(self, module: nn.Module) -> MapConv:
        return MapConv(self.module(module))


def _channels_last(module: nn.Module) -> nn.Module:
    """The module for inference, its convolutions exact, their weights laid out as the maps are."""
    for each in module.modules():
        if type(each) is nn.Conv2d:
            each.__class__ = ExactConv2d  # the same weights, another way to call
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module.eval().requires_grad_(False)


def _fold_head(network: Swin2SR, to: _Placement) -> dict[str, nn.Module]:
    definition = HEADS[network.config.head]
    head = nn.Module()
    for name in definition.build(network.config):
        head.add_module(name, network.get_submodule(name))
    final = to.picture(head.get_submodule(definition.final))
    head = to.module(head)
    parent, _, name = definition.final.rpartition(".")
    setattr(head.get_submodule(parent), name, final)
    return dict(head.named_children())


def _fold_stage(stage: Stage, name: str, to: _Placement) -> FoldedStage:
    return FoldedStage(
        [
            _fold_block(cast(SwinBlock, block), f"{name}.residual_group.blocks.{index}", to)
            for index, block in enumerate(stage.residual_group.blocks)
        ],
        to.conv(folded_1x1(stage.conv, stage.patch_embed.proj)),
    )


def folded_1x1(conv: nn.Module, pointwise: nn.Conv2d) -> nn.Module:
    """The convolution that equals `pointwise(conv(x))`: the 1x1 has only channels to mix."""
    if isinstance(conv, nn.Sequential):
        layers = list(conv.children())
        return nn.Sequential(*layers[:-1], folded_1x1(layers[-1], pointwise))
    conv = cast(nn.Conv2d, conv)
    mix = pointwise.weight[:, :, 0, 0].double()
    weight = torch.einsum("om,mikl->oikl", mix, conv.weight.double())
    bias = mix @ cast(Tensor, conv.bias).double() + cast(Tensor, pointwise.bias)
    outputs, mode = pointwise.out_channels, cast(PaddingMode, conv.padding_mode)
    folded = nn.Conv2d(conv.in_channels, outputs, 3, padding=1, padding_mode=mode)
    folded.weight = nn.Parameter(weight.float())
    folded.bias = nn.Parameter(bias.float())
    return folded


def _fold_block(block: SwinBlock, name: str, to: _Placement) -> FoldedBlock:
    fc1, fc2 = block.mlp.fc1, block.mlp.fc2
    return FoldedBlock(
        shifted=block.shift > 0,
        attention=_fold_attention(block.attn, f"{name}.attn", block.shift, to),
        norm1=to.norm(block.norm1),
        fc1=to.linear(f"{name}.mlp.fc1", fc1.weight, fc1.bias),
        fc2=to.linear(f"{name}.mlp.fc2", fc2.weight, fc2.bias, GELU_MINIMUM),
        norm2=to.norm(block.norm2),
        hidden_scale=block.mlp.hidden_scale,
    )


def _fold_attention(
    attention: WindowAttention, name: str, shift: int, to: _Placement
) -> FoldedAttention:
    heads, dim = attention.heads, attention.qkv.in_features
    head_dim = dim // heads
    padded = padded_head_dim(head_dim)
    weight = torch.zeros(3, heads, padded, dim)
    weight[:, :, :head_dim] = attention.qkv.weight.view(3, heads, head_dim, dim)
    qkv_bias = torch.zeros(3, heads, padded)
    qkv_bias[0, :, :head_dim] = attention.q_bias.view(heads, head_dim)
    qkv_bias[2, :, :head_dim] = attention.v_bias.view(heads, head_dim)
    qkv_bias[2, :, -1] = 1.0
    proj = torch.zeros(dim, heads, padded)
    proj[:, :, :head_dim] = attention.proj.weight.view(dim, heads, head_dim)
    scale = attention.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
    bias, bounded = _bias_in_log2(attention, scale, shift)
    merged = rearrange(proj, "o h d -> o (h d)")
    return FoldedAttention(
        qkv=to.linear(f"{name}.qkv", weight.view(-1, dim), qkv_bias.flatten()),
        q_scale=to.scale(scale * LOG2_E),
        bias=to.tensor(bias),
        proj=to.linear(f"{name}.proj", merged, attention.proj.bias),
        heads=heads,
        # exp2 of what is far below the largest logit possible is zero in fp16, even if it is all.
        bounded=bounded and to.dtype != torch.float16,
    )


def _bias_in_log2(attention: WindowAttention, scale: Tensor, shift: int) -> tuple[Tensor, bool]:
    """kinds x heads x tokens x tokens, shifted so that exp2 of a logit needs no running maximum.

    A logit lies within +-scale of its bias, so its range is known from the weights. Softmax does
    not change when all logits of a head are shifted: so the largest bias is put at zero, where bf16
    has the most digits, or as near to it as what can be represented allows. The second result tells
    whether the range fits at all.
    """
    bias = position_bias(attention.cpb_mlp, attention.window)
    highest = (bias.amax((1, 2), keepdim=True) + scale) * LOG2_E
    lowest = (bias.amin((1, 2), keepdim=True) - scale) * LOG2_E
    bounded = bool(((highest - lowest) < 2 * _EXPONENT_ROOM).all())
    at_zero = bias.amax((1, 2), keepdim=True) * LOG2_E
    at_zero = at_zero.clamp(min=highest - _EXPONENT_ROOM, max=lowest + _EXPONENT_ROOM)
    bias = bias * LOG2_E - at_zero
    kinds = attention_masks(attention.window, shift) * LOG2_E if shift else torch.zeros(1, 1, 1)
    return bias + kinds[:, None], bounded
