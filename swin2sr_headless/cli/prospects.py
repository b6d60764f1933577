"""What planning has to know of a model and a device, without loading either where that can be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swin2sr_core.errors import CheckpointError, ModelNotFoundError
from swin2sr_core.export.onnx_file import SUFFIX, read_contract
from swin2sr_core.kernels.setting import kernel_threads
from swin2sr_core.machine import cpu
from swin2sr_core.machine.host_memory import free_host_bytes
from swin2sr_core.models.catalog import find_entry, model_name, resolve_model
from swin2sr_core.models.header import published_config, read_config
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.planning.budget import Room
from swin2sr_core.planning.picture_plan import Prospect

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Found:
    """A model by its name, the device it would run on, and the room there."""

    name: str
    device: str
    prospect: Prospect
    room: Room
    place: torch.device | None = None

    @property
    def device_kind(self) -> torch.device | str:
        """What timings are remembered by; for the CPU torch need not be there."""
        return self.device if self.place is None else self.place


def prospect_for(name_or_path: str, precision: str, device: str) -> Found:
    """Raises ModelNotFoundError, CheckpointError, DeviceError or InputError, as loading would.

    A model of the catalog need not be here where its network is published. For the CPU, in a
    precision that every CPU has, torch is not imported.
    """
    config, name, path = _network_of(name_or_path)
    if path.suffix.lower() == SUFFIX:
        own = read_contract(path).precision_for(path.name, precision)
        prospect = Prospect(config, own, "cpu", exported=True)
        return Found(name, "cpu", prospect, Room(free_host_bytes()))
    if device == "cpu" and precision in cpu.SAFE_PRECISIONS:
        native = cpu.has_native_bf16()
        auto = "bf16" if cpu.bf16_is_faster() else "fp32"
        chosen = auto if precision == "auto" else precision
        threads = kernel_threads("cpu", chosen, config)
        prospect = Prospect(config, chosen, "cpu", native, threads)
        return Found(name, "cpu", prospect, Room(free_host_bytes()))
    return _on_device(name, config, precision, device)


def _network_of(name_or_path: str) -> tuple[Swin2SRConfig, str, Path]:
    """Also the model's name and its file, which may be one that is not here yet."""
    try:
        path = resolve_model(name_or_path)
    except ModelNotFoundError as missing:
        try:
            entry = find_entry(name_or_path)
            return published_config(entry), name_or_path, Path(entry.file_name)
        except (ModelNotFoundError, CheckpointError):
            raise missing from None
    return read_config(path), model_name(name_or_path, path), path


def _on_device(name: str, config: Swin2SRConfig, precision: str, device: str) -> Found:
    from swin2sr_core.engine.upscale import room_on
    from swin2sr_core.machine.devices import resolve_device, resolve_precision
    from swin2sr_core.models.model import prospect_on

    place = resolve_device(device)
    prospect = prospect_on(place, config, resolve_precision(precision, place))
    return Found(name, str(place), prospect, room_on(place), place)
