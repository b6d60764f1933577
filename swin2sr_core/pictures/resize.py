"""Antialiased resizing of pictures to an output size that the network's scale does not give."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """B C H W -> B C height width by bicubic interpolation, antialiased where it reduces."""
    if image.shape[-2:] == (height, width):
        return image
    return F.interpolate(
        image, size=(height, width), mode="bicubic", align_corners=False, antialias=True
    )
