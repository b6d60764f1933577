"""Weights of a block, laid out for a compiled kernel: see the layout in native/block.h."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..planning.workspace import KERNEL_TOKENS as TOKENS
from ..prepared.folded import FoldedAttention, FoldedBlock
from ..prepared.linears import Linear
from .library import BlockArguments, NativeKernel


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


def pack(block: FoldedBlock, native: NativeKernel) -> PackedBlock:
    """`block`, for which there is no `reason_against`, as that kernel wants it."""
    attention, channels = block.attention, block.norm1.weight.numel()
    word = native.word
    qkv, qkv_bias, proj = _heads_in_words(attention, channels, word)
    hidden = _in_words(_of(block.fc1).weight, 0, word)
    weights = {"qkv": qkv, "proj": proj, "fc1": hidden, "fc2": _of(block.fc2).weight}
    tensors = {name: _in_groups(each, native.rows, word) for name, each in weights.items()}
    numbers = {
        "qkv_bias": qkv_bias,
        "q_scale": attention.q_scale.flatten(),
        "proj_bias": _in_words(_of(attention.proj).bias, 0, word),
        "fc1_bias": _in_words(_of(block.fc1).bias, 0, word),
        "fc2_bias": _in_words(_of(block.fc2).bias, 0, word),
    }
    for name in ("norm1", "norm2"):
        norm = getattr(block, name)
        numbers[f"{name}_weight"] = _in_words(norm.weight, 0, word)
        numbers[f"{name}_bias"] = _in_words(norm.bias, 0, word)
    tensors |= {name: _floats(tensor) for name, tensor in numbers.items()}
    bias = _floats(_in_panels(attention.bias, native.panel))
    arguments = tuple(
        BlockArguments(
            tokens=attention.bias.shape[-1],
            channels=channels,
            heads=attention.heads,
            width=qkv.shape[1] // 3,
            hidden=len(hidden),
            bounded=attention.bounded,
            norm1_eps=block.norm1.eps,
            norm2_eps=block.norm2.eps,
            bias=kind.data_ptr(),
            **{name: tensor.data_ptr() for name, tensor in tensors.items()},
        )
        for kind in bias
    )
    return PackedBlock(arguments, tensors | {"bias": bias})


def _heads_in_words(
    attention: FoldedAttention, channels: int, word: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Weight and bias of qkv, heads x (3 width) x C and heads x (3 width), and of proj the weight.

    Folding has padded the heads, and put a column of ones behind v: neither is needed here, but
    every head begins with a word of its own.
    """
    heads, width = attention.heads, channels // attention.heads
    qkv, proj = _of(attention.qkv), _of(attention.proj)
    weight = qkv.weight.view(3, heads, -1, channels)[:, :, :width].transpose(0, 1)
    bias = qkv.bias.view(3, heads, -1)[:, :, :width].transpose(0, 1)
    merged = proj.weight.view(channels, heads, -1)[:, :, :width]
    return (
        _in_words(weight, 2, word).flatten(1, 2),
        _in_words(bias, 2, word).flatten(1),
        _in_words(merged, 2, word).flatten(1),
    )


def _in_words(tensor: Tensor, axis: int, word: int) -> Tensor:
    """`tensor` with zeros behind, so that its size along an axis is whole words."""
    lacking = -tensor.shape[axis] % word
    if not lacking:
        return tensor
    zeros = [*tensor.shape[:axis], lacking, *tensor.shape[axis + 1 :]]
    return torch.cat([tensor, tensor.new_zeros(zeros)], dim=axis)


def _in_groups(weight: Tensor, rows: int, word: int) -> Tensor:
    """... x out x in -> ... x groups x words of `in` x rows: the rows of a tile side by side.

    Zeros fill the last word and the last group. Words are as wide as a float: of two bf16, or one.
    """
    *others, out, depth = weight.shape
    groups, words = -(-out // rows), -(-depth // word)
    narrow = torch.bfloat16 if word == 2 else torch.float32
    padded = weight.new_zeros(*others, groups * rows, words * word, dtype=narrow)
    padded[..., :out, :depth] = weight.detach()
    grouped = padded.view(*others, groups, rows, words, word).transpose(-2, -3)
    return grouped.contiguous().view(torch.float32)


def _in_panels(bias: Tensor, panel: int) -> Tensor:
    """kinds x heads x queries x keys -> kinds x heads x panels x keys x panel, padded by zeros."""
    kinds, heads, tokens, _ = bias.shape
    padded = bias.new_zeros(kinds, heads, TOKENS, TOKENS)
    padded[:, :, :tokens, :tokens] = bias
    return padded.view(kinds, heads, TOKENS // panel, panel, TOKENS).transpose(-1, -2)


def _floats(tensor: Tensor) -> Tensor:
    """float32, in one piece, and no parameter."""
    return tensor.detach().to(torch.float32).contiguous()


def _of(layer: object) -> Linear:
    assert isinstance(layer, Linear), "see `reason_against`"
    return layer
