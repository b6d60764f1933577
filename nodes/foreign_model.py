"""Swin2SR models that another node has loaded, made ours."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import nn

from ..swin2sr_core.errors import CheckpointError
from ..swin2sr_core.machine.devices import resolve_precision
from ..swin2sr_core.models.catalog import CATALOG, resolve_model
from ..swin2sr_core.models.checkpoint import StateDict, load_checkpoint, official_names
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


def _bundled_config(state: StateDict) -> Swin2SRConfig | None:
    """Of a model in the package: no weight tells how it pads, and of these it is known."""
    for entry in CATALOG:
        if entry.bundled and entry.kind == "upscaler":
            config, own = load_checkpoint(resolve_model(entry.name))
            same = own.keys() == state.keys()
            if same and all(torch.equal(own[name], state[name].float()) for name in own):
                return config
    return None


def _built(module: nn.Module) -> UpscaleModel:
    state = official_names({name: t.detach().cpu() for name, t in module.state_dict().items()})
    config = _bundled_config(state) or infer_config({k: tuple(t.shape) for k, t in state.items()})
    precision = resolve_precision("auto", host.compute_device())
    return UpscaleModel(
        build_model(
            "Swin2SR", config, state, precision, host.offload_device(), host.compute_device()
        )
    )
