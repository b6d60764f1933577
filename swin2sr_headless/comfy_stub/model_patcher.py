"""Stand-in for `comfy.model_patcher`: a model that is loaded to one device and off to another."""

from __future__ import annotations

import torch
from torch import nn

from .model_management import module_size

__all__ = ["ModelPatcher"]


class ModelPatcher:
    """Moves `model` whole; it never patches weights."""

    def __init__(
        self,
        model: nn.Module,
        load_device: torch.device,
        offload_device: torch.device,
        size: int = 0,
        weight_inplace_update: bool = False,
    ) -> None:
        self.model = model
        self.load_device = load_device
        self.offload_device = offload_device
        self.size = size
        self.weight_inplace_update = weight_inplace_update
        self._loaded = 0

    def model_size(self) -> int:
        """Bytes of the model's tensors."""
        self.size = self.size or module_size(self.model)
        return self.size

    def loaded_size(self) -> int:
        """The part of them that is on the load device."""
        return self._loaded

    def load(self, device_to: torch.device | None = None) -> None:
        """Bring the model to the device."""
        if not self._loaded:
            self.model.to(device_to)
            self._loaded = self.model_size()

    def detach(self, unpatch_all: bool = True) -> nn.Module:
        """Bring the model back to where it waits."""
        if unpatch_all:
            self.model.to(self.offload_device)
            self._loaded = 0
        return self.model
