"""ComfyUI's pictures, B H W C, as the core's frames and back; what is no picture is refused."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..swin2sr_core.errors import InputError
from ..swin2sr_core.pictures.frame import Frame
from ..swin2sr_core.pictures.masks import fitting_mask
from ..swin2sr_core.pictures.resize import resize

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Pictures:
    """A batch: `image` is B H W C, C = 1 (grey), 3 (RGB) or 4 (RGBA); `alpha` is B|1 H W or None.

    All values are finite; alpha 1 is opaque.
    """

    image: Tensor
    alpha: Tensor | None

    def __len__(self) -> int:
        return self.image.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[1], self.image.shape[2]

    @property
    def output_channels(self) -> int:
        return 3 if self.alpha is None else 4

    def frame(self, index: int) -> Frame:
        """One picture; what has three equal channels is grey, and stays so."""
        color = self.image[index : index + 1, ..., :3].movedim(-1, 1).float().contiguous()
        if color.shape[1] == 3 and bool((color[:, :1] == color[:, 1:]).all()):
            color = color[:, :1].contiguous()
        if self.alpha is None:
            return Frame(color)
        alpha = self.alpha[min(index, len(self.alpha) - 1)]
        return Frame(color, alpha[None, None].float().clamp(0, 1).contiguous().to(color.device))


def take(image: Tensor, mask: Tensor | None) -> Pictures:
    """The batch of the node's inputs. `mask` (B|1 H W) is what Load Image gives: 1 is transparent.

    A mask without any transparency is none: Load Image makes one for every picture.
    Raises InputError for what is no picture, and names a pixel that is not finite.
    """
    _check_is_picture(image)
    _check_finite(image, "image")
    alpha = image[..., 3] if image.shape[-1] == 4 else None
    if mask is not None and bool(mask.any()):
        alpha = _opposite(_fitting(mask, image))
    return Pictures(image, alpha)


def _check_is_picture(image: object) -> None:
    if not isinstance(image, Tensor):
        raise InputError.saying(
            "image_kind",
            "an image is a batch of B x H x W x C, got {kind}: the node before this one "
            "gives something else; connect an IMAGE output",
            kind=type(image).__name__,
        )
    if image.dim() == 4 and len(image) == 0:
        raise InputError.saying(
            "image_empty",
            "an image is a batch of one picture or more, got an empty one; check the node "
            "before this one",
        )
    if image.dim() != 4 or image.shape[-1] not in (1, 3, 4) or 0 in image.shape:
        raise InputError.saying(
            "image_shape",
            "an image is a batch of B x H x W x C with C = 1, 3 or 4 channels, got {shape}",
            shape=" x ".join(str(n) for n in image.shape),
        )
    if not image.is_floating_point():
        raise InputError.saying(
            "image_integers",
            "the image holds whole numbers ({dtype}), expected floats from 0 to 1; divide "
            "it by its largest value (255 for 8 bits) in the node that makes it",
            dtype=image.dtype,
        )


def put(frame: Frame, target: Tensor) -> None:
    """Write a frame into `target`, H W 3|4; the inverse of `Pictures.frame`. Grey becomes RGB."""
    target[..., :3].copy_(frame.color[0].movedim(0, -1).expand(*target.shape[:2], 3))
    if frame.alpha is not None:
        target[..., 3].copy_(frame.alpha[0, 0])


def _opposite(mask: Tensor) -> Tensor:
    """1 - mask, without the rounding of Load Image's own 1 - alpha, so that 8 bits stay 8 bits."""
    alpha = 1 - mask.float()
    steps = (alpha * 255).round() / 255
    return torch.where((alpha - steps).abs() < _ROUNDING, steps, alpha)


def _fitting(mask: Tensor, image: Tensor) -> Tensor:
    """B|1 H W in the size of the image, as `fitting_mask` has it."""
    frames, height, width = image.shape[:3]
    mask = fitting_mask(mask, frames, (height, width))
    _check_finite(mask, "mask")
    if mask.shape[1:] == (height, width):
        return mask
    return resize(mask[:, None].float(), height, width)[:, 0].clamp(0, 1)


def _check_finite(values: Tensor, name: str) -> None:
    for number, frame in enumerate(values):
        finite = torch.isfinite(frame)
        if not bool(finite.all()):
            y, x, *channel = (int(i) for i in (~finite).nonzero()[0])
            where = f"x={x}, y={y} of picture {number + 1}" + (
                f", channel {channel[0]}," if channel else ""
            )
            raise InputError.saying(
                "pixel_not_finite",
                "the {name} has a pixel that is no number: {where} is {value}; find the node "
                "before this one that makes it",
                name=name,
                where=where,
                value=frame[(y, x, *channel)].item(),
            )
