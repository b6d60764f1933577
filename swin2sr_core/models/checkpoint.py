"""Model files, with official or transformers key names -> config and state dict.

Nothing is ever unpickled beyond tensors: torch files are read with `weights_only=True`.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import CheckpointError, ModelNotFoundError
from ..network.config import Swin2SRConfig, infer_config
from ..network.network import Swin2SR
from .int8_files import expanded, is_int8_file

StateDict = dict[str, Tensor]

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

# Buffers that official files carry: all follow from the config, and are computed instead of loaded.
_BUFFERS = re.compile(r"(relative_coords_table|relative_position_index|attn_mask|(^|\.)mean)$")

_FOREIGN = (
    (r"relative_position_bias_table$", "SwinIR or another Swin (V1) network"),
    (r"^(body\.\d+\.rdb1|model\.1\.sub\.|RRDB_trunk)", "ESRGAN"),
    (r"^model\.diffusion_model\.", "a Stable Diffusion checkpoint"),
    (r"layers\.\d+\.residual_group\.blocks\.\d+\.conv_block", "HAT"),
)

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


def load_checkpoint(path: Path | str) -> tuple[Swin2SRConfig, StateDict]:
    """The config and the parameters (official names, fp32, no buffers) of the model file at `path`.

    Raises `ModelNotFoundError` when there is no such file, and `CheckpointError` when it is
    truncated, not a tensor file, holds code, another architecture, or non-finite weights.
    """
    path = Path(path)
    state = official_names(unwrap(read_tensors(path)))
    try:
        config = infer_config({name: tuple(tensor.shape) for name, tensor in state.items()})
    except CheckpointError as error:
        foreign = _foreign_architecture(state)
        hint = f"it looks like {foreign}, and only Swin2SR is supported here" if foreign else error
        raise CheckpointError(f"{path.name} is not a usable Swin2SR checkpoint: {hint}") from error
    return config, _checked_parameters(path, config, state)


def save_checkpoint(
    path: Path | str, state: StateDict, metadata: dict[str, str] | None = None
) -> None:
    """Write parameters as .safetensors; the inverse of `load_checkpoint` for official names."""
    save_file({k: v.contiguous() for k, v in state.items()}, str(path), metadata)


def read_tensors(path: Path) -> dict[str, object]:
    """The raw content of a model file, before any renaming."""
    if not path.is_file():
        raise ModelNotFoundError(f"there is no model file {path}; check the path")
    if path.suffix == ".safetensors":
        int8 = is_int8_file(path)
        try:
            tensors = load_file(str(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(
                f"{path.name} is no whole safetensors file ({error}); download or copy it again"
            ) from error
        return dict(expanded(tensors, path.name) if int8 else tensors)
    if path.suffix not in SUFFIXES:
        raise CheckpointError(
            f"{path.name} ends in {path.suffix or 'nothing'}; a model file ends in one of "
            f"{', '.join(SUFFIXES)}"
        )
    return _read_torch_file(path)


def _read_torch_file(path: Path) -> dict[str, object]:
    try:
        content = torch.load(str(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path.name} holds more than tensors, or is damaged: loading it could run code, so it "
            "is refused; use a .safetensors file or download it again"
        ) from error
    except Exception as error:  # a damaged file makes torch and pickle raise almost anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path.name} is truncated or no torch file ({reason}); download or copy it again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path.name} holds a {type(content).__name__}, expected a dict of tensors; "
            "save the network's state dict"
        )
    return content


def unwrap(content: dict[str, object]) -> StateDict:
    """The state dict inside `params_ema`, `params` or `state_dict`, without a `module.` prefix."""
    for key in ("params_ema", "params", "state_dict"):
        inner = content.get(key)
        if isinstance(inner, dict):
            content = inner
            break
    return {
        name.removeprefix("module."): value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def official_names(state: StateDict) -> StateDict:
    """The state dict with the authors' key names and without buffers, whoever saved it."""
    if any(name.startswith("swin2sr.") for name in state):
        state = _from_transformers(state)
    return {name: value for name, value in state.items() if not _BUFFERS.search(name)}


def _from_transformers(state: StateDict) -> StateDict:
    renamed: StateDict = {}
    for name, value in state.items():
        for pattern, replacement in _TRANSFORMERS_NAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    for name in [n for n in renamed if n.endswith(".attn.query.weight")]:
        prefix = name.removesuffix("query.weight")
        needed = ("query.weight", "key.weight", "value.weight", "query.bias", "value.bias")
        lacking = [f"{prefix}{part}" for part in needed if f"{prefix}{part}" not in renamed]
        if lacking:
            raise CheckpointError(f"`{lacking[0]}` is missing, so this is no whole checkpoint")
        *weights, q_bias, v_bias = (renamed.pop(f"{prefix}{part}") for part in needed)
        renamed[f"{prefix}qkv.weight"] = torch.cat(weights)
        renamed[f"{prefix}q_bias"] = q_bias
        renamed[f"{prefix}v_bias"] = v_bias
        renamed.pop(f"{prefix}key.bias", None)
    for name in [n for n in renamed if n.startswith("upsample.convolution_")]:
        step, kind = name.removeprefix("upsample.convolution_").split(".")
        # A convolution and a pixel shuffle alternate in the official Sequential.
        renamed[f"upsample.{2 * int(step)}.{kind}"] = renamed.pop(name)
    return renamed


def _checked_parameters(path: Path, config: Swin2SRConfig, state: StateDict) -> StateDict:
    """The parameters the network of `config` has, in fp32, or an error that names what is wrong."""
    with torch.device("meta"):
        expected = Swin2SR(config).state_dict()
    missing = sorted(expected.keys() - state.keys())
    unknown = sorted(state.keys() - expected.keys())
    if missing or unknown:
        what = f"lacks `{missing[0]}`" if missing else f"has the unknown `{unknown[0]}`"
        count = len(missing) or len(unknown)
        others = f" and {count - 1} more" if count > 1 else ""
        raise CheckpointError(
            f"{path.name} {what}{others}; it is incomplete or another architecture"
        )
    parameters: StateDict = {}
    for name, parameter in expected.items():
        value = state[name]
        if value.layout is not torch.strided or value.is_meta or value.is_quantized:
            raise CheckpointError(
                f"`{name}` in {path.name} is not a plain tensor (sparse, quantized or without "
                "data); save the network's state dict with ordinary float tensors"
            )
        if value.shape != parameter.shape:
            raise CheckpointError(
                f"`{name}` in {path.name} has shape {tuple(value.shape)}, expected "
                f"{tuple(parameter.shape)}; the file is damaged or another architecture"
            )
        parameters[name] = value.float()
        if not bool(torch.isfinite(parameters[name]).all()):
            raise CheckpointError(
                f"`{name}` in {path.name} holds NaN or infinite values; the file is damaged, "
                "download or export it again"
            )
    return parameters


def _foreign_architecture(state: StateDict) -> str | None:
    for pattern, name in _FOREIGN:
        if any(re.search(pattern, key) for key in state):
            return name
    return None
