"""Weights of a block, laid out for a compiled kernel: see the layout in native/block.h."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..prepared.folded import FoldedAttention, FoldedBlock
from ..prepared.linears import Linear
from .library import BlockArguments

TOKENS = 64
"""The most that a window has in compiled kernels: 8 x 8."""


@dataclass(frozen=True)
class PackedBlock:
    """A block's arguments by kind of window, and the tensors that they point into."""

    arguments: tuple[BlockArguments, ...]
    tensors: dict[str, Tensor]


def reason_against(block: FoldedBlock) -> str:
    """Why compiled kernels can't run `block`; empty where they can."""
    attention = block.attention
    layers = (attention.qkv, attention.proj, block.fc1, block.fc2)
    if not all(isinstance(layer, Linear) for layer in layers):
        return "its linear layers compute in int8"
    if block.hidden_scale != 1:
        return "its hidden values are scaled"
    if attention.bias.shape[-1] > TOKENS:
        return f"its windows have more than {TOKENS} tokens"
    return ""


def pack(block: FoldedBlock, rows: int, panel: int) -> PackedBlock:
    """`block`, for which there is no `reason_against`, for tiles of `rows` by `panel` tokens."""
    attention, channels = block.attention, block.norm1.weight.numel()
    qkv, qkv_bias, proj = _without_padding(attention, channels)
    tensors = {
        "qkv": _in_groups(qkv, rows),
        "qkv_bias": qkv_bias,
        "q_scale": attention.q_scale.flatten(),
        "proj": _in_groups(proj, rows),
        "proj_bias": _of(attention.proj).bias,
        "fc1": _in_groups(_of(block.fc1).weight, rows),
        "fc1_bias": _of(block.fc1).bias,
        "fc2": _in_groups(_of(block.fc2).weight, rows),
        "fc2_bias": _of(block.fc2).bias,
    }
    for name in ("norm1", "norm2"):
        norm = getattr(block, name)
        tensors |= {f"{name}_weight": norm.weight, f"{name}_bias": norm.bias}
    tensors = {name: _numbers(tensor) for name, tensor in tensors.items()}
    bias = _numbers(_in_panels(attention.bias, panel))
    arguments = tuple(
        BlockArguments(
            tokens=attention.bias.shape[-1],
            channels=channels,
            heads=attention.heads,
            width=channels // attention.heads,
            hidden=block.fc1.features,
            bounded=attention.bounded,
            norm1_eps=block.norm1.eps,
            norm2_eps=block.norm2.eps,
            bias=kind.data_ptr(),
            **{name: tensor.data_ptr() for name, tensor in tensors.items()},
        )
        for kind in bias
    )
    return PackedBlock(arguments, tensors | {"bias": bias})


def _without_padding(attention: FoldedAttention, channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weight and bias of qkv, heads x (3 width) x C and heads x (3 width), and proj, C x C.

    Folding has padded the heads, and put a column of ones behind v: neither is needed here.
    """
    heads, width = attention.heads, channels // attention.heads
    qkv, proj = _of(attention.qkv), _of(attention.proj)
    weight = qkv.weight.view(3, heads, -1, channels)[:, :, :width].transpose(0, 1)
    bias = qkv.bias.view(3, heads, -1)[:, :, :width].transpose(0, 1)
    merged = proj.weight.view(channels, heads, -1)[:, :, :width]
    return weight.flatten(1, 2), bias.flatten(1), merged.flatten(1)


def _in_groups(weight: Tensor, rows: int) -> Tensor:
    """... x out x in -> ... x groups x in x rows: the rows of a tile side by side, zeros last."""
    *others, out, depth = weight.shape
    groups = -(-out // rows)
    padded = weight.new_zeros(*others, groups * rows, depth)
    padded[..., :out, :] = weight
    return padded.view(*others, groups, rows, depth).transpose(-1, -2)


def _in_panels(bias: Tensor, panel: int) -> Tensor:
    """kinds x heads x queries x keys -> kinds x heads x panels x keys x panel, padded by zeros."""
    kinds, heads, tokens, _ = bias.shape
    padded = bias.new_zeros(kinds, heads, TOKENS, TOKENS)
    padded[:, :, :tokens, :tokens] = bias
    return padded.view(kinds, heads, TOKENS // panel, panel, TOKENS).transpose(-1, -2)


def _numbers(tensor: Tensor) -> Tensor:
    """float32, in one piece, and no parameter."""
    return tensor.detach().to(torch.float32).contiguous()


def _of(layer: object) -> Linear:
    assert isinstance(layer, Linear), "see `reason_against`"
    return layer
