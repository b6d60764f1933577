"""A Swin2SR model in ComfyUI's hands: moved and weighed by it, and usable as any UPSCALE_MODEL."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..swin2sr_core import Model, Swin2SRConfig, upscale
from . import host
from .descriptor import Descriptor


class ManagedNetwork(nn.Module):
    """A core model as ComfyUI and other packs see it: a module with all parameters and buffers.
    One that runs an exported file has none, and stays where it is.

    It names no modules within itself. Where memory is short, ComfyUI loads and unloads the modules
    that have parameters of their own one by one, and a network on two devices cannot run. As it
    finds none here, it moves all or nothing.
    """

    def __init__(self, core: Model) -> None:
        super().__init__()
        self.core = core
        self.network = core.network
        self.device = core.device  # ComfyUI's own book-keeping; `core.device` is the truth

    def named_modules(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, memo: set[nn.Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Module]]:
        yield prefix, self

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        if recurse and isinstance(self.network, nn.Module):
            yield from self.network.named_parameters(_below(prefix), True, remove_duplicate)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        if recurse and isinstance(self.network, nn.Module):
            yield from self.network.named_buffers(_below(prefix), True, remove_duplicate)

    def forward(self, image: Tensor) -> Tensor:
        """B C H W in 0..1, of any float type -> B C scale*H scale*W on its device, in one pass."""
        check = lambda _done, _total: host.raise_if_interrupted()  # noqa: E731
        result = upscale(self.core, image.float(), scale=self.core.scale, progress=check)
        return result.image.to(image.dtype)


def _below(prefix: str) -> str:
    """The prefix of what is in `network`, as `state_dict` has it."""
    return f"{prefix}.network" if prefix else "network"


class UpscaleModel(Descriptor):
    """What Load Swin2SR gives: the model, its place in ComfyUI's memory, and a plain call."""

    model: ManagedNetwork

    def __init__(self, core: Model) -> None:
        self.model = ManagedNetwork(core)
        self.patcher = host.managed(self.model, core.device if core.exported else None)

    def __deepcopy__(self, memo: dict[int, object]) -> UpscaleModel:
        """A model of its own, in ComfyUI's care like this one."""
        if self.core.exported:  # a session keeps nothing of a run: both may have it
            return UpscaleModel(self.core)
        return UpscaleModel(replace(self.core, network=copy.deepcopy(self.core.network, memo)))

    @property
    def core(self) -> Model:
        return self.model.core

    @property
    def config(self) -> Swin2SRConfig:
        return self.core.config

    @property
    def device(self) -> torch.device:
        return self.core.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the feature maps."""
        return self.core.network.dtype

    @property
    def weight_bytes(self) -> int:
        return self.patcher.model_size()

    def __call__(self, image: Tensor) -> Tensor:
        """B C H W in 0..1 -> B C scale*H scale*W on the image's device, in one pass."""
        return self.model(image)
