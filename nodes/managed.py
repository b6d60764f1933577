"""A Swin2SR model in ComfyUI's hands: moved and weighed by it, and usable as any UPSCALE_MODEL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from ..swin2sr_core import Model, Swin2SRConfig, upscale
from . import host

T = TypeVar("T")


class ManagedNetwork(nn.Module):
    """A core model as a module. It shows no parameters, so that it is only ever moved whole."""

    def __init__(self, core: Model) -> None:
        super().__init__()
        self.core = core
        self.device = core.device  # ComfyUI's own book-keeping; `core.device` is the truth

    def to(self, device: torch.device | str) -> ManagedNetwork:  # type: ignore[override]
        """Bring every tensor to `device`."""
        device = torch.device(device)
        if device != self.core.device:
            self.core = moved(self.core, device)
        return self

    def state_dict(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Every tensor, numbered: what ComfyUI adds up to know the model's size."""
        return {str(index): tensor for index, tensor in enumerate(_tensors(self.core))}


class UpscaleModel:
    """What Load Swin2SR gives: the model, its place in ComfyUI's memory, and a plain call.

    Nodes made for other upscalers need `scale`, `model`, `to`, `cpu`, `eval`, and a plain call.
    """

    def __init__(self, core: Model) -> None:
        self.model = ManagedNetwork(core)
        self.patcher = host.managed(self.model)

    @property
    def core(self) -> Model:
        return self.model.core

    @property
    def config(self) -> Swin2SRConfig:
        return self.core.config

    @property
    def scale(self) -> int:
        """The enlargement of one call."""
        return self.core.scale

    @property
    def input_channels(self) -> int:
        return self.config.in_channels

    @property
    def output_channels(self) -> int:
        return self.config.in_channels

    @property
    def device(self) -> torch.device:
        return self.core.device

    @property
    def weight_bytes(self) -> int:
        return self.patcher.model_size()

    def to(self, device: torch.device | str) -> UpscaleModel:
        self.model.to(device)
        return self

    def cpu(self) -> UpscaleModel:
        return self.to("cpu")

    def cuda(self) -> UpscaleModel:
        return self.to("cuda")

    def eval(self) -> UpscaleModel:
        return self

    def __call__(self, image: Tensor) -> Tensor:
        """B C H W in 0..1 -> B C scale*H scale*W on the image's device, in one pass."""
        check = lambda _done, _total: host.raise_if_interrupted()  # noqa: E731
        result = upscale(self.core, image.float(), scale=self.scale, progress=check)
        return result.image.to(image.dtype)


def moved(value: T, device: torch.device) -> T:
    """`value` with all of it on `device`: nested dataclasses, tuples, dicts, tensors, modules.

    Modules are moved in place, everything else is made anew.
    """
    if isinstance(value, Tensor | nn.Module):
        return cast(T, value.to(device))
    if isinstance(value, torch.device):
        return cast(T, device)
    if isinstance(value, tuple):
        return cast(T, tuple(moved(each, device) for each in value))
    if isinstance(value, dict):
        return cast(T, {key: moved(each, device) for key, each in value.items()})
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{f.name: moved(getattr(value, f.name), device) for f in fields(value)}
        )
    return value


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield from value.state_dict().values()
    elif isinstance(value, tuple | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _tensors(getattr(value, each.name))
