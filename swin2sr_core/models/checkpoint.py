"""Model files, with official or transformers key names -> config and state dict.

A file is looked at first (`reader`): no unpickler but ours, which knows nothing but tensors, ever
sees one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import CheckpointError, ModelNotFoundError
from ..network.config import Swin2SRConfig, infer_config
from ..network.network import Swin2SR
from ..sentences import sentence
from . import names
from .header import joined, shapes_of
from .int8_files import checked_entries, expanded, is_int8
from .pickles import Entry
from .reader import SUFFIXES as SUFFIXES
from .reader import Contents, opened
from .tensors import build, bytes_behind

StateDict = dict[str, Tensor]

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
    if path.is_dir() or not path.exists():
        raise ModelNotFoundError.saying(
            "model_file_missing", "there is no model file {path}; check the path", path=path
        )
    with opened(path) as contents:
        wanted = _parameters(contents)
        entries = names.official_names(_float_entries(contents, wanted), joined)
        config = _config(contents, entries)
        _check_entries(path, config, entries)
        _check_bytes(path, wanted)
        tensors = build(contents, wanted)
    if is_int8(contents):
        tensors = expanded(tensors, path.name)
    return config, _finite(path, official_names(tensors))


def save_checkpoint(
    path: Path | str, state: StateDict, metadata: dict[str, str] | None = None
) -> None:
    """Write parameters as .safetensors; the inverse of `load_checkpoint` for official names."""
    save_file({k: v.contiguous() for k, v in state.items()}, str(path), metadata)


def unwrap(content: Mapping[object, object]) -> StateDict:
    """The state dict inside `params_ema`, `params` or `state_dict`, without a `module.` prefix."""
    return names.unwrap(content, Tensor)


def official_names(state: StateDict) -> StateDict:
    """The state dict with the authors' key names and without buffers, whoever saved it."""
    return names.official_names(state, torch.cat)


def _parameters(contents: Contents) -> dict[str, Entry]:
    """The tensors of the state dict in a file, without those that follow from its config."""
    state = names.unwrap(contents.tensors, Entry)
    return {name: entry for name, entry in state.items() if not names.is_buffer(name)}


def _float_entries(contents: Contents, wanted: dict[str, Entry]) -> dict[str, Entry]:
    """The tensors as they will be once an int8 file is expanded."""
    return checked_entries(wanted, contents.path.name) if is_int8(contents) else wanted


def _config(contents: Contents, entries: Mapping[str, Entry]) -> Swin2SRConfig:
    try:
        return infer_config(shapes_of(entries), contents.metadata)
    except CheckpointError as error:
        foreign = _foreign_architecture(entries)
        looks = sentence(
            "looks_like",
            "it looks like {foreign}, and only Swin2SR is supported here",
            foreign=foreign,
        )
        raise CheckpointError.saying(
            "not_a_checkpoint",
            "{name} is not a usable Swin2SR checkpoint: {hint}",
            name=contents.path.name,
            hint=looks if foreign else error,
        ) from error


def _check_entries(path: Path, config: Swin2SRConfig, entries: Mapping[str, Entry]) -> None:
    """Raises an error that names what is wrong, unless these are the parameters of `config`."""
    with torch.device("meta"):
        expected = Swin2SR(config).state_dict()
    missing = sorted(expected.keys() - entries.keys())
    unknown = sorted(entries.keys() - expected.keys())
    if missing or unknown:
        lacks = sentence("lacks", "lacks `{name}`", name="".join(missing[:1]))
        has = sentence("has_unknown", "has the unknown `{name}`", name="".join(unknown[:1]))
        count = len(missing) or len(unknown)
        others = sentence("and_more", " and {count} more", count=count - 1) if count > 1 else ""
        raise CheckpointError.saying(
            "checkpoint_incomplete",
            "{name} {what}{others}; it is incomplete or another architecture",
            name=path.name,
            what=lacks if missing else has,
            others=others,
        )
    for name, parameter in expected.items():
        _check_entry(path, name, entries[name], tuple(parameter.shape))


def _check_entry(path: Path, name: str, entry: Entry, shape: tuple[int, ...]) -> None:
    if entry.shape != shape:
        raise CheckpointError.saying(
            "tensor_shape",
            "`{name}` in {file} has shape {found}, expected {expected}; the file is "
            "damaged or another architecture",
            name=name,
            file=path.name,
            found=entry.shape,
            expected=shape,
        )
    if not entry.dtype.startswith(("float", "bfloat")):
        raise CheckpointError.saying(
            "tensor_type",
            "`{name}` in {file} holds {found}, expected float numbers; save the network's "
            "state dict with ordinary float tensors",
            name=name,
            file=path.name,
            found=entry.dtype,
        )


def _check_bytes(path: Path, wanted: Mapping[str, Entry]) -> None:
    """Raises CheckpointError for tensors that need more memory than they have bytes in the file.

    A few bytes, told to repeat themselves (strides of 0, one storage for all), fill any memory.
    """
    needed, there = sum(entry.size for entry in wanted.values()), bytes_behind(wanted)
    if path.suffix.lower() != ".safetensors" and needed > there:
        raise CheckpointError.saying(
            "tensor_bytes",
            "the weights in {name} would need {needed:,} bytes and have {there:,}; the "
            "file is damaged, or made to exhaust memory",
            name=path.name,
            needed=needed,
            there=there,
        )


def _finite(path: Path, state: StateDict) -> StateDict:
    """The parameters in fp32. Raises CheckpointError for values that are no numbers."""
    parameters = {name: value.float() for name, value in state.items()}
    for name, value in parameters.items():
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError.saying(
                "tensor_not_finite",
                "`{name}` in {file} holds NaN or infinite values; the file is damaged, "
                "download or export it again",
                name=name,
                file=path.name,
            )
    return parameters


def _foreign_architecture(names: Iterable[str]) -> str | None:
    for pattern, name in _FOREIGN:
        if any(re.search(pattern, key) for key in names):
            return name
    return None
