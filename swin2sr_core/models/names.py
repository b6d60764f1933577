"""Where a model file keeps its tensors, and by what names: those of the authors or of transformers.

A tensor is anything here: files are read whole by `checkpoint`, and by their headers by `header`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..errors import CheckpointError

T = TypeVar("T")

# Buffers that official files carry: all follow from the config, and are computed instead of loaded.
_BUFFERS = re.compile(r"(relative_coords_table|relative_position_index|attn_mask|(^|\.)mean)$")

# transformers' Swin2SR names -> official names; applied in order, each to the whole key.
_TRANSFORMERS_NAMES = (
    (r"^swin2sr\.first_convolution\.", "conv_first."),
    (r"^swin2sr\.embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^swin2sr\.embeddings\.patch_embeddings\.layernorm\.", "patch_embed.norm."),
    (r"^swin2sr\.encoder\.stages\.(\d+)\.layers\.(\d+)\.", r"layers.\1.residual_group.blocks.\2."),
    (r"^swin2sr\.encoder\.stages\.(\d+)\.", r"layers.\1."),
    (r"\.patch_embed\.projection\.", ".patch_embed.proj."),
    (r"^swin2sr\.layernorm\.", "norm."),
    (r"^swin2sr\.conv_after_body\.", "conv_after_body."),
    (r"\.attention\.self\.continuous_position_bias_mlp\.", ".attn.cpb_mlp."),
    (r"\.attention\.self\.", ".attn."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    (r"^upsample\.conv_before_upsample\.", "conv_before_upsample.0."),
    (r"^upsample\.conv\.", "upsample.0."),  # pixelshuffledirect
    (r"^upsample\.upsample\.convolution_(\d+)\.", r"upsample.convolution_\1."),
    (r"^upsample\.upsample\.convolution\.", "upsample.0."),  # pixelshuffle x3
    (r"^upsample\.conv_up(\d)\.", r"conv_up\1."),
    (r"^upsample\.conv_hr\.", "conv_hr."),
    (r"^upsample\.conv_bicubic\.", "conv_bicubic."),
    (r"^upsample\.conv_aux\.", "conv_aux."),
    (r"^upsample\.conv_after_aux\.", "conv_after_aux."),
    (r"^upsample\.(final_convolution|conv_last)\.", "conv_last."),
    (r"^final_convolution\.", "conv_last."),
)  # fmt: skip


def is_buffer(name: str) -> bool:
    """Whether that tensor follows from the config, so that nobody needs it from a file."""
    return _BUFFERS.search(name) is not None


def unwrap(content: Mapping[Any, object], kind: type[T]) -> dict[str, T]:
    """The tensors (all that is of this `kind`) by name, without a `module.` prefix.

    They are those in `params_ema`, `params` or `state_dict`, the first that is there, else all.
    """
    for key in ("params_ema", "params", "state_dict"):
        inner = content.get(key)
        if isinstance(inner, dict):
            content = inner
            break
    return {
        name.removeprefix("module."): value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, kind)
    }


def official_names(state: Mapping[str, T], join: Callable[[list[T]], T]) -> dict[str, T]:
    """The tensors by the authors' names and without buffers, whoever saved them.

    `join` puts tensors one after the other along their first axis. Raises CheckpointError for a
    file of transformers that lacks a part of an attention.
    """
    if any(name.startswith("swin2sr.") for name in state):
        state = _from_transformers(state, join)
    return {name: value for name, value in state.items() if not is_buffer(name)}


def _from_transformers(state: Mapping[str, T], join: Callable[[list[T]], T]) -> dict[str, T]:
    renamed = {_renamed(name): value for name, value in state.items()}
    for name in [n for n in renamed if n.endswith(".attn.query.weight")]:
        _join_attention(renamed, name.removesuffix("query.weight"), join)
    for name in [n for n in renamed if n.startswith("upsample.convolution_")]:
        found = re.fullmatch(r"upsample\.convolution_(\d{1,3})\.(weight|bias)", name, re.ASCII)
        if found is None:
            raise CheckpointError.saying(
                "tensor_foreign",
                "`{name}` is no tensor of a Swin2SR; the file is damaged",
                name=name,
            )
        step, kind = found.groups()
        # A convolution and a pixel shuffle alternate in the official Sequential.
        renamed[f"upsample.{2 * int(step)}.{kind}"] = renamed.pop(name)
    return renamed


def _renamed(name: str) -> str:
    for pattern, replacement in _TRANSFORMERS_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _join_attention(state: dict[str, T], prefix: str, join: Callable[[list[T]], T]) -> None:
    """Query, key and value as the one matrix that the authors have, in place."""
    needed = ("query.weight", "key.weight", "value.weight", "query.bias", "value.bias")
    lacking = [f"{prefix}{part}" for part in needed if f"{prefix}{part}" not in state]
    if lacking:
        raise CheckpointError.saying(
            "tensor_missing", "`{name}` is missing, so this is no whole checkpoint", name=lacking[0]
        )
    *weights, q_bias, v_bias = (state.pop(f"{prefix}{part}") for part in needed)
    state[f"{prefix}qkv.weight"] = join(weights)
    state[f"{prefix}q_bias"] = q_bias
    state[f"{prefix}v_bias"] = v_bias
    state.pop(f"{prefix}key.bias", None)
