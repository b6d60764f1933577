"""A loaded model: a network prepared for one device and precision, with its name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..errors import NonFiniteError
from ..kernels.setting import kernel_threads
from ..machine.devices import has_native_bf16, resolve_device, resolve_precision
from ..network.config import Swin2SRConfig
from ..network.network import Swin2SR
from ..planning.picture_plan import Prospect
from ..prepared.folded import FoldedNetwork
from ..prepared.precision import WIDER, Source, prepare
from .catalog import model_name, resolve_model
from .checkpoint import load_checkpoint

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """Ready to upscale. `name` is the catalog's name, or the stem of the file it came from.

    `source` is kept in the precisions that may have to be left for a wider one.
    """

    name: str
    config: Swin2SRConfig
    precision: str
    network: FoldedNetwork
    source: Source | None = field(default=None, compare=False, repr=False)

    @property
    def scale(self) -> int:
        """The enlargement of one pass of the network."""
        return self.config.scale

    @property
    def device(self) -> torch.device:
        return self.network.device

    @property
    def prospect(self) -> Prospect:
        """This model as far as planning asks about it."""
        return prospect_on(self.device, self.config, self.precision)


def prospect_on(device: torch.device, config: Swin2SRConfig, precision: str) -> Prospect:
    """A model as planning sees it, once it is on `device`."""
    threads = kernel_threads(device.type, precision, config)
    return Prospect(config, precision, device.type, has_native_bf16(device), threads)


def load_model(
    name_or_path: str | Path = "compact-x4",
    precision: str = "auto",
    device: str | torch.device = "cpu",
) -> Model:
    """Load a model of the catalog by name, or any Swin2SR checkpoint by path.

    `precision` is auto, fp32, bf16, fp16 or int8; `device` is auto, cpu, cuda, mps or xpu. Nothing
    is downloaded. Raises `ModelNotFoundError`, `CheckpointError`, `DeviceError` or `InputError`.
    """
    target = device if isinstance(device, torch.device) else resolve_device(device)
    precision = resolve_precision(precision, target)
    path = resolve_model(name_or_path)
    config, state = load_checkpoint(path)
    return build_model(model_name(name_or_path, path), config, state, precision, target)


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
    network.eval().requires_grad_(False)
    source = Source(network) if precision in WIDER else None
    return Model(name, config, precision, prepare(network, precision, device), source)


class Attempts:
    """Runs work with a model's network, and again with a wider one where values are not finite.

    From then on the wider one is used, and `tell` is called with a sentence for the user.
    """

    def __init__(self, model: Model, tell: Callable[[str], None]) -> None:
        self.network = model.network
        self.precision = model.precision
        self._model = model
        self._tell = tell

    def run(self, work: Callable[[FoldedNetwork], None]) -> None:
        """`work(network)`; raises `NonFiniteError` when nothing wider is left to try."""
        try:
            work(self.network)
            return
        except NonFiniteError:
            if self._model.source is None or self.network is not self._model.network:
                raise
        wider = WIDER[self._model.precision]
        text = (
            f"{self._model.precision} gave values that are not finite, so {wider} was used instead"
        )
        logger.warning("%s: %s", self._model.name, text)
        self._tell(text)
        self.network = self._model.source.folded(wider, self._model.device)
        self.precision = wider
        work(self.network)
