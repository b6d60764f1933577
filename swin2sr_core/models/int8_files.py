"""int8 model files: safetensors with int8 linear weights, one scale per channel, the rest in fp16.

Layout, version 1: a linear weight NAME (out x in) is int8, and NAME.step (out, float32) is what one
int8 step of each output channel is worth. Metadata: format = swin2sr-int8, format_version = 1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError
from ..prepared.quantization import dequantize_rows, quantize_rows

FORMAT = "swin2sr-int8"
VERSION = "1"
METADATA = {"format": FORMAT, "format_version": VERSION}

_STEP = ".step"


def compressed(state: Mapping[str, Tensor], layers: Collection[str]) -> dict[str, Tensor]:
    """What an int8 file holds of fp32 parameters: `layers` names the linear layers in int8.

    The inverse of `expanded`, up to rounding. What fp16 can't hold stays in fp32.
    """
    weights = {f"{name}.weight" for name in layers}
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if name in weights:
            tensors[name], step = quantize_rows(value.float())
            tensors[name + _STEP] = step.flatten()
        else:
            narrow = value.half()
            tensors[name] = narrow if bool(torch.isfinite(narrow).all()) else value.float()
    return tensors


def expanded(tensors: Mapping[str, Tensor], file_name: str) -> dict[str, Tensor]:
    """The fp32 parameters of an int8 file's tensors; raises `CheckpointError` where one is amiss.

    Quantising them again gives the same int8 numbers.
    """
    state: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name.endswith(_STEP):
            continue
        if value.dtype != torch.int8:
            state[name] = value.float()
            continue
        step = tensors.get(name + _STEP)
        if step is None or value.dim() != 2 or step.shape != value.shape[:1]:
            raise CheckpointError(
                f"`{name}` in {file_name} is int8 without one scale for each of its rows; the file "
                "is damaged, quantise the original again"
            )
        state[name] = dequantize_rows(value, step.float()[:, None])
    return state


def is_int8_file(path: Path) -> bool:
    """Whether a safetensors file is of this format, in a version that is known here.

    Raises `CheckpointError` for a later version.
    """
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError):
        return False  # reading it whole tells what is wrong
    if metadata.get("format") != FORMAT:
        return False
    if (version := metadata.get("format_version")) != VERSION:
        raise CheckpointError(
            f"{path.name} is an int8 file of version {version}, and only version {VERSION} is "
            "known here; update swin2sr, or quantise the original again"
        )
    return True
