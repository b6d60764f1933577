"""How far an output is from its picture, as one number to make small."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import Loss


def training_loss(output: Tensor, target: Tensor, how: Loss) -> Tensor:
    """The loss of B C H W float32 in 0..1: of the pixels, plus `frequency` times the spectrum's."""
    loss = pixel_loss(output - target, how)
    if how.frequency:
        loss = loss + how.frequency * frequency_loss(output, target)
    return loss


def pixel_loss(difference: Tensor, how: Loss) -> Tensor:
    """The mean of |d|, of d**2, or of Charbonnier's sqrt(d**2 + epsilon**2) - epsilon.

    The last is quadratic below epsilon and linear above (Charbonnier et al., ICIP 1994).
    """
    if how.name == "l1":
        return difference.abs().mean()
    if how.name == "l2":
        return difference.square().mean()
    return (difference.square() + how.epsilon**2).sqrt().mean() - how.epsilon


def frequency_loss(output: Tensor, target: Tensor) -> Tensor:
    """The mean magnitude of the difference of the two orthonormal spectra."""
    return torch.fft.rfft2(output - target, norm="ortho").abs().mean()
