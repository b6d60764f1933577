"""How far an output is from its picture, as one number to make small."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import Loss


def training_loss(output: Tensor, target: Tensor, how: Loss) -> Tensor:
    """The loss of B C H W float32 in 0..1: pixels, `chroma` times Cb and Cr, `frequency` times
    the spectrum.

    Beyond black and white nothing is wrong: there the output is clamped when it becomes a picture.
    """
    target = torch.where((target >= 1) & (output > 1), output.detach(), target)
    target = torch.where((target <= 0) & (output < 0), output.detach(), target)
    loss = pixel_loss(output - target, how)
    if how.chroma and output.shape[1] == 3:
        loss = loss + how.chroma * pixel_loss(chroma(output - target), how)
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


def chroma(rgb: Tensor) -> Tensor:
    """B 3 H W -> B 2 H W: Cb and Cr of JFIF, around 0; linear, so of differences too."""
    weights = rgb.new_tensor([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return torch.einsum("dc,bchw->bdhw", weights, rgb)


def frequency_loss(output: Tensor, target: Tensor) -> Tensor:
    """The mean magnitude of the difference of the two orthonormal spectra."""
    return torch.fft.rfft2(output - target, norm="ortho").abs().mean()
