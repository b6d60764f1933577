"""A loaded model: a network prepared for one device and precision, with its name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..errors import DeviceError, InputError, NonFiniteError
from ..export.onnx_file import SUFFIX, read_onnx
from ..export.session import OnnxSession
from ..kernels.setting import kernel_threads
from ..machine.devices import has_native_bf16, resolve_device, resolve_precision
from ..network.config import Swin2SRConfig
from ..network.network import Swin2SR
from ..planning.picture_plan import Prospect
from ..prepared.folded import FoldedNetwork
from ..prepared.precision import WIDER, Source, prepare
from ..sentences import sentence
from .catalog import model_name, resolve_model
from .checkpoint import load_checkpoint

Network = FoldedNetwork | OnnxSession
"""What runs: blocks and convolutions of ours, or an exported file in onnxruntime."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """Ready to upscale. `name` is the catalog's name, or the stem of the file it came from.

    `source` is kept in the precisions that may have to be left for a wider one.
    """

    name: str
    config: Swin2SRConfig
    precision: str
    network: Network
    source: Source | None = field(default=None, compare=False, repr=False)

    @property
    def scale(self) -> int:
        """The enlargement of one pass of the network."""
        return self.config.scale

    @property
    def exported(self) -> bool:
        """Whether it is an exported file, which another runtime runs."""
        return isinstance(self.network, OnnxSession)

    @property
    def folded(self) -> FoldedNetwork:
        """The network as ours. Raises InputError for an exported file."""
        if isinstance(self.network, FoldedNetwork):
            return self.network
        raise InputError(f"{self.name} is an exported file; name the checkpoint that it came from")

    @property
    def device(self) -> torch.device:
        return self.network.device

    @property
    def prospect(self) -> Prospect:
        """This model as far as planning asks about it."""
        if isinstance(self.network, OnnxSession):
            return exported_prospect(self.config, self.precision)
        return prospect_on(self.device, self.config, self.precision)


def prospect_on(device: torch.device, config: Swin2SRConfig, precision: str) -> Prospect:
    """A model as planning sees it, once it is on `device`."""
    threads = kernel_threads(device.type, precision, config)
    return Prospect(config, precision, device.type, has_native_bf16(device), threads)


def exported_prospect(config: Swin2SRConfig, precision: str) -> Prospect:
    """An exported file as planning sees it: by the host's memory, whatever its provider."""
    return Prospect(config, precision, "cpu", exported=True)


def load_model(
    name_or_path: str | Path = "compact-x4",
    precision: str = "auto",
    device: str | torch.device = "cpu",
    provider: str = "auto",
) -> Model:
    """Load a model of the catalog by name, or any Swin2SR checkpoint or exported file by path.

    `precision` is auto, fp32, bf16, fp16 or int8; `device` is auto, cpu, cuda, mps or xpu. An
    exported .onnx file has its precision, and runs where `provider` (auto, cpu, cuda, ...) says.
    Nothing is downloaded. Raises `ModelNotFoundError`, `CheckpointError`, `DeviceError` or
    `InputError`.
    """
    found = resolve_model(name_or_path)
    if found.suffix.lower() == SUFFIX:
        return _exported_model(model_name(name_or_path, found), found, precision, device, provider)
    if provider != "auto":
        raise InputError(
            f"--provider is for exported .onnx files, and {found.name} is none; leave it out, or "
            "export the model first"
        )
    target = device if isinstance(device, torch.device) else resolve_device(device)
    precision = resolve_precision(precision, target)
    config, state = load_checkpoint(found)
    return build_model(model_name(name_or_path, found), config, state, precision, target)


def _exported_model(
    name: str, path: Path, precision: str, device: str | torch.device, provider: str
) -> Model:
    file = read_onnx(path)
    own = file.contract.precision_for(path.name, precision)
    if str(device) not in ("auto", "cpu"):
        raise DeviceError(
            f"{path.name} is an exported file, which --provider sends to a device, not --device "
            f"{device}; leave that out"
        )
    if file.contract.size != "dynamic":
        raise InputError(
            f"{path.name} takes {file.contract.size} pixels alone, and tiles have many sizes; "
            "export the model again without --size"
        )
    session = OnnxSession(file.content, file.contract, provider)
    return Model(name, session.config, own, session)


def build_model(
    name: str,
    config: Swin2SRConfig,
    state: dict[str, torch.Tensor],
    precision: str,
    device: torch.device,
    runs_on: torch.device | None = None,
) -> Model:
    """A model from parameters that are in memory already (official names, any float type).

    `runs_on` is where it will be moved to before it runs, if that is not `device`.
    """
    with torch.device("meta"):
        network = Swin2SR(config)
    network.load_state_dict({k: v.float() for k, v in state.items()}, assign=True)
    network.eval().requires_grad_(False)
    source = Source(network) if precision in WIDER else None
    return Model(name, config, precision, prepare(network, precision, device, runs_on), source)


class Attempts:
    """Runs work with a model's network, and again with a wider one where values are not finite.

    From then on the wider one is used, and `tell` is called with a sentence for the user.
    """

    def __init__(self, model: Model, tell: Callable[[str], None]) -> None:
        self.network: Network = model.network
        self.precision = model.precision
        self._model = model
        self._tell = tell

    def run(self, work: Callable[[Network], None]) -> None:
        """`work(network)`; raises `NonFiniteError` when nothing wider is left to try."""
        try:
            work(self.network)
            return
        except NonFiniteError:
            if self._model.source is None or self.network is not self._model.network:
                raise
        wider = WIDER[self._model.precision]
        text = sentence(
            "wider_type",
            "{precision} gave values that are not finite, so {wider} was used instead",
            precision=self._model.precision,
            wider=wider,
        )
        logger.warning("%s: %s", self._model.name, text)
        self._tell(text)
        self.network = self._model.source.folded(wider, self._model.device)
        self.precision = wider
        work(self.network)
