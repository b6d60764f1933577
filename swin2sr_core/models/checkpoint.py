"""Model files, with official or transformers key names -> config and state dict.

Nothing is ever unpickled beyond tensors: torch files are read with `weights_only=True`.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import CheckpointError, ModelNotFoundError
from ..network.config import Swin2SRConfig, infer_config
from ..network.network import Swin2SR
from . import names
from .int8_files import expanded, is_int8_file

StateDict = dict[str, Tensor]

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

_FOREIGN = (
    (r"relative_position_bias_table$", "SwinIR or another Swin (V1) network"),
    (r"^(body\.\d+\.rdb1|model\.1\.sub\.|RRDB_trunk)", "ESRGAN"),
    (r"^model\.diffusion_model\.", "a Stable Diffusion checkpoint"),
    (r"layers\.\d+\.residual_group\.blocks\.\d+\.conv_block", "HAT"),
)


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


def unwrap(content: Mapping[str, object]) -> StateDict:
    """The state dict inside `params_ema`, `params` or `state_dict`, without a `module.` prefix."""
    return names.unwrap(content, Tensor)


def official_names(state: StateDict) -> StateDict:
    """The state dict with the authors' key names and without buffers, whoever saved it."""
    return names.official_names(state, torch.cat)


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
