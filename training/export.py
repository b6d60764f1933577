"""A run's averaged weights as a model file that everything here loads."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from swin2sr_core.errors import InputError
from swin2sr_core.models.catalog import resolve_model
from swin2sr_core.models.checkpoint import load_checkpoint
from swin2sr_core.pictures.files.output_file import output_file

from .checkpoint import RunState
from .config import TrainingConfig


def export_weights(
    state: RunState, path: Path, metadata: dict[str, str], *, overwrite: bool = False
) -> int:
    """Write the average as fp16 safetensors, official names; returns the file's size in bytes.

    Raises InputError where a weight does not fit fp16, and as `output_file` does.
    """
    narrow = {name: _narrowed(name, weight) for name, weight in state.average.items()}
    config = TrainingConfig.from_dict(state.config).network
    about = {"architecture": "Swin2SR", "scale": str(config.scale), "steps": str(state.step)}
    content = save(narrow, about | config.metadata | metadata)
    with output_file(path, overwrite=overwrite) as file:
        file.write(content)
    return len(content)


def mix_in(average: dict[str, Tensor], model: str, share: float) -> None:
    """Move the weights in place towards those of `model`, by `share` of the way.

    From a network to one that was fine-tuned from it leads a straight way of networks that work,
    which are often better at both tasks (Wortsman et al., CVPR 2022). Raises InputError for a model
    of other sizes.
    """
    _, other = load_checkpoint(resolve_model(model))
    sizes, others = ({k: v.shape for k, v in each.items()} for each in (average, other))
    if sizes != others:
        raise InputError(f"{model} is another network than the run's: their weights can't be mixed")
    for name, weight in average.items():
        weight.lerp_(other[name].to(weight), share)


def _narrowed(name: str, weight: Tensor) -> Tensor:
    narrow = weight.detach().cpu().contiguous().half()
    if not bool(torch.isfinite(narrow).all()):
        raise InputError(f"`{name}` has values that fp16 cannot hold; train with a smaller rate")
    return narrow
