"""Blocks on a graphics card: attention's middle and the norms fused, or a block in two launches."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...network.config import Swin2SRConfig
from ...network.windows import Kinds
from ...prepared.folded import FoldedAttention, FoldedBlock
from ...prepared.linears import Linear
from ..block import activate
from . import functions as _functions

functions: Any = _functions
"""A launch has another signature than the function that is compiled."""

CORE = "Triton attention"
BLOCK = "Triton blocks"

_ROWS = 8
"""That one program normalises."""
_PART = 32
"""Of the hidden units at once: with 64, registers spill."""
_ADDRESSED = 2**31
_LEAST = 16
"""The shortest side of a product on tensor cores."""


class CoreKernel:
    """Triton between the linear layers, which stay the library's; see `kernel.BlockKernel`.

    Nine launches for a band: gather, four layers, attention, GELU, and each norm with its residual.
    """

    name = CORE

    def run(
        self, block: FoldedBlock, kinds: Kinds, source: Tensor, target: Tensor, band: Tensor
    ) -> None:
        """See `BlockKernel.run`."""
        with _on(source):
            x = torch.index_select(source, 0, band.flatten())
            attended = attention_core(block.attention, block.attention.qkv(x), kinds, len(band))
            _add_normalised(x, block.attention.proj(attended), block.norm1, x, None)
            del attended
            hidden = activate(block.fc1(x), block.hidden_scale)
            _add_normalised(x, block.fc2(hidden), block.norm2, target, band)


@dataclass(frozen=True)
class HalvesKernel:
    """A block in two launches, which read and write the map once each; see `kernel.BlockKernel`.

    Its programs have that many warps: which is faster is up to the card.
    """

    warps: int

    @property
    def name(self) -> str:
        return f"{BLOCK}, {self.warps} warps"

    def run(
        self, block: FoldedBlock, kinds: Kinds, source: Tensor, target: Tensor, band: Tensor
    ) -> None:
        """See `BlockKernel.run`."""
        with _on(source):
            self._attend(block, kinds, source, target, band)
            self._mlp(block, target, band)

    def _attend(
        self, block: FoldedBlock, kinds: Kinds, source: Tensor, target: Tensor, band: Tensor
    ) -> None:
        attention, norm = block.attention, block.norm1
        qkv, proj = _of(attention.qkv), _of(attention.proj)
        functions.attention_half[(len(band),)](
            source,
            target,
            band,
            qkv.weight,
            qkv.bias,
            attention.bias,
            attention.q_scale,
            proj.weight,
            proj.bias,
            norm.weight,
            norm.bias,
            *_kinds(kinds, band),
            norm.eps,
            **_channels(source.shape[1]),
            **_heads(attention),
            PER_WINDOW=isinstance(kinds, Tensor),
            LONG=_is_long(source),
            **_launch(self.warps),
        )

    def _mlp(self, block: FoldedBlock, target: Tensor, band: Tensor) -> None:
        fc1, fc2, norm = _of(block.fc1), _of(block.fc2), block.norm2
        rows = 16 * self.warps  # every warp has one tile of the tensor cores
        functions.mlp_half[(-(-band.numel() // rows),)](
            target,
            band,
            fc1.weight,
            fc1.bias,
            fc2.weight,
            fc2.bias,
            norm.weight,
            norm.bias,
            band.numel(),
            norm.eps,
            block.hidden_scale,
            **_channels(target.shape[1]),
            HIDDEN=fc1.features,
            PART=_PART,
            ROWS=rows,
            LONG=_is_long(target),
            **_launch(self.warps),
        )


def attention_core(attention: FoldedAttention, qkv: Tensor, kinds: Kinds, windows: int) -> Tensor:
    """What the linear layer gives, (windows tokens) x (3 heads width) -> a third as wide."""
    out = qkv.new_empty(len(qkv), qkv.shape[1] // 3)
    functions.attention_core[(windows, attention.heads)](
        qkv,
        out,
        attention.bias,
        attention.q_scale,
        *_kinds(kinds, qkv),
        **_heads(attention),
        PER_WINDOW=isinstance(kinds, Tensor),
        LONG=_is_long(qkv),
        **_launch(),
    )
    return out


def reason_against(config: Swin2SRConfig, block: FoldedBlock) -> str:
    """Why these kernels can't run `block`; empty where they can."""
    layers = (block.attention.qkv, block.attention.proj, block.fc1, block.fc2)
    if not all(isinstance(layer, Linear) for layer in layers):
        return "its linear layers compute in int8"
    if config.window**2 > _TOKENS:
        return f"its windows have more than {_TOKENS} tokens"
    if config.embed_dim > _CHANNELS:
        return f"it has more than {_CHANNELS} channels"
    return ""


_TOKENS, _CHANNELS = 64, 192
"""What fits into the registers of a program."""


def _add_normalised(
    x: Tensor, y: Tensor, norm: torch.nn.LayerNorm, target: Tensor, index: Tensor | None
) -> None:
    """target = x + norm(y), row by row; to the rows that `index` names, if it is there."""
    functions.add_normalised[(-(-len(x) // _ROWS),)](
        x,
        y,
        target,
        y if index is None else index,
        norm.weight,
        norm.bias,
        len(x),
        norm.eps,
        C=x.shape[1],
        WHOLE=_power(x.shape[1]),
        ROWS=_ROWS,
        SCATTER=index is not None,
        LONG=_is_long(target) or _is_long(x),
        **_launch(),
    )


def _kinds(kinds: Kinds, other: Tensor) -> tuple[Tensor, int]:
    """Both arguments, of which one is looked at; `other` stands for a tensor that is not there."""
    return (kinds, 0) if isinstance(kinds, Tensor) else (other, kinds)


def _heads(attention: FoldedAttention) -> dict[str, Any]:
    width = attention.qkv.features // (3 * attention.heads)
    tokens = attention.bias.shape[-1]
    return {
        "HEADS": attention.heads,
        "WIDTH": width,
        "D": _power(width),
        "TOKENS": tokens,
        "T": _power(tokens),
        "MAXIMUM": not attention.bounded,
    }


def _channels(channels: int) -> dict[str, int]:
    """Two powers of two that cover them."""
    first = _power(channels, 2 * _LEAST) // 2
    return {"C": channels, "FIRST": first, "SECOND": _power(channels - first)}


def _launch(warps: int = 4) -> dict[str, Any]:
    return {"num_warps": warps, "num_stages": 1}


def _power(number: int, least: int = _LEAST) -> int:
    return max(least, 1 << (number - 1).bit_length())


def _is_long(tensor: Tensor) -> bool:
    return tensor.numel() >= _ADDRESSED


def _of(layer: torch.nn.Module) -> Linear:
    assert isinstance(layer, Linear)
    return layer


def _on(tensor: Tensor) -> AbstractContextManager[object]:
    """Triton launches on the current card, whatever card its tensors are on."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()
