"""Swin2SR models that another node has loaded, made ours."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import nn

from ..swin2sr_core.errors import CheckpointError
from ..swin2sr_core.machine.devices import resolve_precision
from ..swin2sr_core.models.catalog import CATALOG, locate
from ..swin2sr_core.models.checkpoint import StateDict, load_checkpoint, official_names
from ..swin2sr_core.models.header import read_config
from ..swin2sr_core.models.model import build_model
from ..swin2sr_core.network.config import Swin2SRConfig, infer_config
from . import host
from .managed import UpscaleModel

_adopted: WeakKeyDictionary[nn.Module, UpscaleModel] = WeakKeyDictionary()
"""What was made of a module, for as long as the module lives."""


def as_swin2sr(model: object) -> UpscaleModel:
    """`model` itself if it is ours, else ours with the weights of a Swin2SR that spandrel loaded.

    Raises CheckpointError for other architectures and for what is no upscaling model.
    """
    if isinstance(model, UpscaleModel):
        return model
    module = getattr(model, "model", None)
    if not isinstance(module, nn.Module):
        raise CheckpointError.saying(
            "model_kind",
            "model is a {kind}, expected a Swin2SR; connect Load Swin2SR",
            kind=type(model).__name__,
        )
    architecture = getattr(getattr(model, "architecture", None), "id", "Swin2SR")
    if architecture != "Swin2SR":
        raise CheckpointError.saying(
            "model_architecture",
            "the model is of the architecture {architecture}, and only Swin2SR runs here; "
            "use Load Swin2SR, or Upscale Image (using Model) for this one",
            architecture=architecture,
        )
    if module not in _adopted:
        _adopted[module] = _built(module)
    return _adopted[module]


def _config(state: StateDict) -> Swin2SRConfig:
    """No weight tells what its convolutions pad with; of the models in the package it is known."""
    found = infer_config({name: tuple(tensor.shape) for name, tensor in state.items()})
    for path in (locate(each) for each in CATALOG if each.bundled and each.kind == "upscaler"):
        if path is None or replace(read_config(path), padding_mode="zeros") != found:
            continue
        config, own = load_checkpoint(path)
        if all(torch.equal(own[name], state[name].float()) for name in own):
            return config
    return found


def _built(module: nn.Module) -> UpscaleModel:
    state = official_names({name: t.detach().cpu() for name, t in module.state_dict().items()})
    config = _config(state)
    precision = resolve_precision("auto", host.compute_device())
    return UpscaleModel(
        build_model(
            "Swin2SR", config, state, precision, host.offload_device(), host.compute_device()
        )
    )
