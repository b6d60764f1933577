"""A loaded model: a network prepared for one device and precision, with its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from .catalog import resolve_model
from .checkpoint import load_checkpoint
from .config import Swin2SRConfig
from .devices import DTYPES, resolve_device, resolve_precision
from .folding import FoldedNetwork, fold
from .network import Swin2SR


@dataclass(frozen=True)
class Model:
    """Ready to upscale. `name` is the catalog's name, or the stem of the file it came from."""

    name: str
    config: Swin2SRConfig
    precision: str
    network: FoldedNetwork

    @property
    def scale(self) -> int:
        """The enlargement of one pass of the network."""
        return self.config.scale

    @property
    def device(self) -> torch.device:
        return self.network.device


def load_model(
    name_or_path: str | Path = "compact-x4",
    precision: str = "auto",
    device: str | torch.device = "cpu",
) -> Model:
    """Load a model of the catalog by name, or any Swin2SR checkpoint by path.

    `precision` is auto, fp32 or bf16; `device` is auto, cpu, cuda, mps or xpu. Nothing is
    downloaded. Raises `ModelNotFoundError`, `CheckpointError`, `DeviceError` or `InputError`.
    """
    target = device if isinstance(device, torch.device) else resolve_device(device)
    precision = resolve_precision(precision, target)
    path = resolve_model(name_or_path)
    config, state = load_checkpoint(path)
    known = not Path(name_or_path).suffix
    return build_model(str(name_or_path) if known else path.stem, config, state, precision, target)


def build_model(
    name: str,
    config: Swin2SRConfig,
    state: dict[str, torch.Tensor],
    precision: str,
    device: torch.device,
) -> Model:
    """A model from parameters that are in memory already (official names, any float type)."""
    with torch.device("meta"):
        network = Swin2SR(config)
    network.load_state_dict({k: v.float() for k, v in state.items()}, assign=True)
    return Model(name, config, precision, fold(network, DTYPES[precision], device))
