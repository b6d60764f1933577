"""A run's averaged weights as a model file that everything here loads."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from swin2sr_core.errors import InputError
from swin2sr_core.network.config import infer_config
from swin2sr_core.pictures.files.output_file import output_file

from .checkpoint import RunState


def export_weights(
    state: RunState, path: Path, metadata: dict[str, str], *, overwrite: bool = False
) -> int:
    """Write the average as fp16 safetensors, official names; returns the file's size in bytes.

    Raises InputError where a weight does not fit fp16, and as `output_file` does.
    """
    narrow = {name: _narrowed(name, weight) for name, weight in state.average.items()}
    config = infer_config({name: tuple(weight.shape) for name, weight in narrow.items()})
    about = {"architecture": "Swin2SR", "scale": str(config.scale), "steps": str(state.step)}
    content = save(narrow, about | metadata)
    with output_file(path, overwrite=overwrite) as file:
        file.write(content)
    return len(content)


def _narrowed(name: str, weight: Tensor) -> Tensor:
    narrow = weight.detach().cpu().contiguous().half()
    if not bool(torch.isfinite(narrow).all()):
        raise InputError(f"`{name}` has values that fp16 cannot hold; train with a smaller rate")
    return narrow
