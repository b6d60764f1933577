"""Antialiased resizing of pictures to an output size that the network's scale does not give."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """B C H W -> B C height width by bicubic interpolation, antialiased where it reduces."""
    if image.shape[-2:] == (height, width):
        return image
    import torch.nn.functional as F  # here, so that sizes can be planned without it

    return F.interpolate(
        image, size=(height, width), mode="bicubic", align_corners=False, antialias=True
    )
