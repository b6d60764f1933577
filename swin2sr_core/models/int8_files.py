"""int8 model files: safetensors with int8 linear weights, one scale per channel, the rest in fp16.

Layout, version 1: a linear weight NAME (out x in) is int8, and NAME.step (out, float32) is what one
int8 step of each output channel is worth. Metadata: format = swin2sr-int8, format_version = 1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CheckpointError, harmless
from ..prepared.quantization import dequantize_rows, quantize_rows
from .pickles import Entry
from .reader import Contents, read_contents

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
            raise _without_scale(name, file_name)
        if step.dtype != torch.float32 or not bool((step.isfinite() & (step > 0)).all()):
            raise _bad_scale(name, file_name)
        state[name] = dequantize_rows(value, step[:, None])
    return state


def checked_entries(entries: Mapping[str, Entry], file_name: str) -> dict[str, Entry]:
    """The tensors that `expanded` will give, before one is read; raises what it would raise."""
    found: dict[str, Entry] = {}
    for name, entry in entries.items():
        if name.endswith(_STEP):
            continue
        if entry.dtype == "int8":
            step = entries.get(name + _STEP)
            if step is None or len(entry.shape) != 2 or step.shape != entry.shape[:1]:
                raise _without_scale(name, file_name)
            if step.dtype != "float32":
                raise _bad_scale(name, file_name)
            found[name] = Entry(entry.shape, "float32")
        else:
            found[name] = entry
    return found


def is_int8_file(path: Path) -> bool:
    """Whether a safetensors file is of this format, in a version that is known here.

    Raises `CheckpointError` for a later version.
    """
    try:
        contents = read_contents(path)
    except (CheckpointError, OSError):
        return False  # reading it whole tells what is wrong
    return is_int8(contents)


def is_int8(contents: Contents) -> bool:
    """The same of a file that is being read."""
    if contents.metadata.get("format") != FORMAT:
        return False
    if (version := contents.metadata.get("format_version")) != VERSION:
        raise CheckpointError.saying(
            "int8_version",
            "{file} is an int8 file of version {version}, and only version {known} is "
            "known here; update swin2sr, or quantise the original again",
            file=contents.path.name,
            version=harmless(version, 40),
            known=VERSION,
        )
    return True


def _without_scale(name: str, file_name: str) -> CheckpointError:
    return CheckpointError.saying(
        "int8_scales",
        "`{name}` in {file} is int8 without one scale for each of its rows; the file "
        "is damaged, quantise the original again",
        name=name,
        file=file_name,
    )


def _bad_scale(name: str, file_name: str) -> CheckpointError:
    return CheckpointError.saying(
        "int8_scales_broken",
        "the scales of `{name}` in {file} are not finite float32 above zero; the file "
        "is damaged, quantise the original again",
        name=name,
        file=file_name,
    )
