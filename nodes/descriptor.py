"""What other packs ask an upscale model: the answers of spandrel's ImageModelDescriptor, and ours.

Nodes are written for the descriptors that ComfyUI's own loader makes with spandrel. What they may
ask is answered here without needing spandrel; where it is loaded its own types are used, so that
comparisons and `isinstance` hold.
"""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass
from typing import Any

import torch
from typing_extensions import Self

from ..swin2sr_core import Swin2SRConfig


@dataclass(frozen=True)
class Architecture:
    """The kind of network, as spandrel names it."""

    id: str = "Swin2SR"
    name: str = "Swin2SR"


@dataclass(frozen=True)
class SizeRequirements:
    """Sizes of pictures that a model takes: here any, as padding is the engine's business."""

    minimum: int = 0
    multiple_of: int = 1
    square: bool = False

    @property
    def none(self) -> bool:
        return True

    def check(self, width: int, height: int) -> bool:
        return True

    def get_padding(self, width: int, height: int) -> tuple[int, int]:
        return 0, 0


class ModelTiling(enum.Enum):
    """Whether others may cut pictures into tiles for a model."""

    SUPPORTED = 1
    DISCOURAGED = 2
    INTERNAL = 3


class Descriptor:
    """The part of an upscale model that answers questions; `model` is its module.

    The number type is ours to choose (Load Swin2SR's `precision`): a type asked for from outside is
    not taken, since a network that was not prepared for it gives black pictures. Pictures may be of
    any float type, and come back in theirs.
    """

    model: Any

    @property
    def config(self) -> Swin2SRConfig:
        raise NotImplementedError

    @property
    def __class__(self) -> type:
        """spandrel's, for `isinstance`, where some pack has loaded it."""
        spandrel = sys.modules.get("spandrel")
        return getattr(spandrel, "ImageModelDescriptor", None) or type(self)

    @__class__.setter
    def __class__(self, value: type) -> None:
        raise TypeError("the class of an upscale model cannot be changed")

    @property
    def architecture(self) -> Architecture:
        return Architecture()

    @property
    def purpose(self) -> str:
        return "SR" if self.scale > 1 else "Restoration"

    @property
    def tags(self) -> list[str]:
        config = self.config
        return [config.head, f"{config.embed_dim}dim", f"{sum(config.depths)}blocks"]

    @property
    def scale(self) -> int:
        """The enlargement of one call."""
        return self.config.scale

    @property
    def input_channels(self) -> int:
        return self.config.in_channels

    @property
    def output_channels(self) -> int:
        return self.config.in_channels

    @property
    def supports_half(self) -> bool:
        """Half-precision pictures are welcome: nothing overflows."""
        return True

    @property
    def supports_bfloat16(self) -> bool:
        return True

    @property
    def size_requirements(self) -> Any:
        return getattr(sys.modules.get("spandrel"), "SizeRequirements", SizeRequirements)()

    @property
    def tiling(self) -> Any:
        return getattr(sys.modules.get("spandrel"), "ModelTiling", ModelTiling).SUPPORTED

    def to(
        self,
        device: torch.device | str | torch.dtype | None = None,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Move to a device; a type, in either place, changes nothing."""
        if device is not None and not isinstance(device, torch.dtype):
            self.model.to(torch.device(device))
        return self

    def cpu(self) -> Self:
        return self.to("cpu")

    def cuda(self, device: int | None = None) -> Self:
        return self.to("cuda" if device is None else f"cuda:{device}")

    def half(self) -> Self:
        return self

    def bfloat16(self) -> Self:
        return self

    def float(self) -> Self:
        return self

    def eval(self) -> Self:
        return self

    def train(self, mode: bool = True) -> Self:
        """For inference alone, whatever is asked."""
        return self
