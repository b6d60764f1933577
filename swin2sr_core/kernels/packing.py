"""Weights of blocks and convolutions as compiled kernels want them: see native/block.h."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..planning.workspace import KERNEL_TOKENS as TOKENS
from ..prepared.folded import FoldedAttention, FoldedBlock, MapConv
from ..prepared.linears import Linear
from .library import BlockArguments, ConvArguments, NativeKernel


@dataclass(frozen=True)
class PackedBlock:
    """A block's arguments by kind of window, and the tensors that they point into."""

    arguments: tuple[BlockArguments, ...]
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class PackedConv:
    """A convolution's arguments, and the tensors that they point into."""

    arguments: ConvArguments
    tensors: tuple[Tensor, Tensor]


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
    word, depth = native.word, native.word * native.depth
    qkv, qkv_bias, proj = _heads_in_words(attention, channels, word)
    hidden = _in_words(_of(block.fc1).weight, 0, depth)
    weights = {"qkv": qkv, "proj": proj, "fc1": hidden, "fc2": _of(block.fc2).weight}
    tensors = {name: _in_groups(each, native) for name, each in weights.items()}
    numbers = {
        "qkv_bias": qkv_bias,
        "q_scale": attention.q_scale.flatten(),
        "proj_bias": _in_words(_of(attention.proj).bias, 0, word),
        "fc1_bias": _in_words(_of(block.fc1).bias, 0, depth),
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


def can_convolve(conv: MapConv) -> bool:
    """Whether compiled kernels have it: one convolution of three by three."""
    return isinstance(conv.conv, nn.Conv2d) and conv.conv.kernel_size == (3, 3)


def pack_conv(conv: MapConv, native: NativeKernel, to_floats: bool) -> PackedConv:
    """`conv`, which they `can_convolve`, to add to a map in float32 or in the kernel's type."""
    assert isinstance(conv.conv, nn.Conv2d)
    weight, bias = conv.conv.weight.detach(), conv.conv.bias
    outputs, inputs = weight.shape[:2]
    paired = native.word == 2 and not to_floats  # a word's first outputs before the second ones
    panels, vectors, lanes = -(-outputs // native.panel), 2, native.panel // 2
    order = (lanes, vectors) if paired else (vectors, lanes)
    words = _words(inputs, native)
    shape = panels * native.panel, words * native.word, 9
    padded = weight.new_zeros(shape, dtype=narrow_type(native))
    padded[:outputs, :inputs] = weight.flatten(2)
    numbers = weight.new_zeros(panels * native.panel, dtype=torch.float32)
    if bias is not None:
        numbers[:outputs] = bias.detach()
    split = padded.view(panels, *order, words, native.word, 9)
    biases = numbers.view(panels, *order)
    if paired:
        split, biases = split.transpose(1, 2), biases.transpose(1, 2)
    # panels vectors lanes words word taps -> panels taps words vectors lanes word
    arranged = split.permute(0, 5, 3, 1, 2, 4).contiguous().view(torch.float32)
    biases = biases.contiguous()
    replicates = conv.conv.padding_mode == "replicate"
    arguments = ConvArguments(
        inputs, outputs, to_floats, replicates, arranged.data_ptr(), biases.data_ptr()
    )
    return PackedConv(arguments, (arranged, biases))


def _words(numbers: int, native: NativeKernel) -> int:
    """How many words so many numbers are, filled up to what is multiplied at once."""
    return -(-numbers // (native.word * native.depth)) * native.depth


def narrow_type(native: NativeKernel) -> torch.dtype:
    """What is on maps and is multiplied: words are as wide as a float, of two bf16 or one."""
    return torch.bfloat16 if native.word == 2 else torch.float32


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


def _in_groups(weight: Tensor, native: NativeKernel) -> Tensor:
    """... x out x in -> ... x groups x words of `in` x rows: the rows of a tile side by side.

    Or, `by_rows`, one behind the other. Zeros fill the last words and the last group.
    """
    rows, word = native.rows, native.word
    *others, out, depth = weight.shape
    groups, words = -(-out // rows), _words(depth, native)
    padded = weight.new_zeros(*others, groups * rows, words * word, dtype=narrow_type(native))
    padded[..., :out, :depth] = weight.detach()
    grouped = padded.view(*others, groups, rows, words, word)
    if not native.by_rows:
        grouped = grouped.transpose(-2, -3)
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
