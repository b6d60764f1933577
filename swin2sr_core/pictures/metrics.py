"""PSNR and SSIM on Y, the way super-resolution papers measure them; colour, and JPEG's blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError

LUMA = (65.481, 128.553, 24.966)
"""Y of BT.601 in 16..235 from RGB in 0..1, the offset of 16 left out: MATLAB's rgb2ycbcr."""

CHROMA = ((-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
"""Cb and Cr of BT.601 in 16..240, the offset of 128 left out."""

_BLOCK = 8
"""Side of JPEG's blocks in pixels."""

_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def rounded(image: Tensor) -> Tensor:
    """To 8 bits and back: 0..1 in steps of 1/255, as an image file would hold it."""
    return (image.clamp(0, 1) * 255).round() / 255


def luma(image: Tensor) -> Tensor:
    """B 3 H W (or B 1 H W, grey) in 0..1 -> B 1 H W, Y in 16..235, float64."""
    if image.shape[1] == 1:
        image = image.expand(-1, 3, -1, -1)
    weights = torch.tensor(LUMA, dtype=torch.float64, device=image.device).view(1, 3, 1, 1)
    return (image.double() * weights).sum(1, keepdim=True) + 16


def chroma(image: Tensor) -> Tensor:
    """B 3 H W in 0..1 -> B 2 H W, Cb and Cr around 0, float64; of grey nothing but zeros."""
    if image.shape[1] == 1:
        image = image.expand(-1, 3, -1, -1)
    weights = torch.tensor(CHROMA, dtype=torch.float64, device=image.device)
    return torch.einsum("dc,bchw->bdhw", weights, image.double())


def compared(image: Tensor, reference: Tensor, border: int) -> tuple[Tensor, Tensor]:
    """Both pictures (B C H W in 0..1), rounded to 8 bits, without `border` pixels all round.

    The larger one is first cropped to the smaller: HR pictures are not always multiples of the
    scale. Raises InputError where that leaves nothing, or takes more than papers do.
    """
    height, width = (min(image.shape[i], reference.shape[i]) for i in (-2, -1))
    most = max(abs(image.shape[i] - reference.shape[i]) for i in (-2, -1))
    if most > max(border, 0) or min(height, width) <= 2 * border:
        raise InputError(
            f"pictures of {image.shape[-1]} x {image.shape[-2]} and {reference.shape[-1]} x "
            f"{reference.shape[-2]} pixels cannot be compared with a border of {border}; both must "
            "show the same, in the same size"
        )
    inner = (..., slice(border, height - border), slice(border, width - border))
    return rounded(image)[inner], rounded(reference)[inner]


def compared_luma(image: Tensor, reference: Tensor, border: int) -> tuple[Tensor, Tensor]:
    """Y of both pictures, see `compared`."""
    a, b = compared(image, reference, border)
    return luma(a), luma(b)


def psnr_y(image: Tensor, reference: Tensor, border: int) -> float:
    """Peak signal-to-noise ratio on Y in dB, infinite for equal pictures; see `compared_luma`."""
    return _psnr(*compared_luma(image, reference, border))


def psnr_chroma(image: Tensor, reference: Tensor, border: int) -> float:
    """PSNR on Cb and Cr together, in dB; see `compared`."""
    a, b = compared(image, reference, border)
    return _psnr(chroma(a), chroma(b))


def blockiness(image: Tensor, scale: int) -> float:
    """How much JPEG's grid shows in an enlargement by `scale` of a picture that was compressed.

    The mean step of Y across the lines of the 8-pixel grid, which begins at the top left, over the
    mean step elsewhere: 1 where there is no grid. Not a number for flat or smaller pictures.
    """
    y = luma(rounded(image))
    on_grid, elsewhere = [], []
    for steps in (y.diff(dim=-1).abs(), y.diff(dim=-2).abs().transpose(-2, -1)):
        lines = torch.arange(1, steps.shape[-1] + 1, device=y.device) % (_BLOCK * scale) == 0
        on_grid.append(steps[..., lines].flatten())
        elsewhere.append(steps[..., ~lines].flatten())
    return float(torch.cat(on_grid).mean() / torch.cat(elsewhere).mean())


def ssim_y(image: Tensor, reference: Tensor, border: int) -> float:
    """Structural similarity on Y, -1..1, as Wang et al. (2004) define it.

    Gaussian windows of 11 x 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, only where a window fits.
    Raises InputError for pictures smaller than a window; see also `compared_luma`.
    """
    a, b = compared_luma(image, reference, border)
    if min(a.shape[-2:]) < _SSIM_WINDOW:
        raise InputError(
            f"SSIM needs {_SSIM_WINDOW} x {_SSIM_WINDOW} pixels inside the border, got "
            f"{a.shape[-1]} x {a.shape[-2]}; take larger pictures"
        )
    mean_a, mean_b = _windowed(a), _windowed(b)
    variance_a = _windowed(a * a) - mean_a.square()
    variance_b = _windowed(b * b) - mean_b.square()
    covariance = _windowed(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _C1) / (mean_a.square() + mean_b.square() + _C1)
    structure = (2 * covariance + _C2) / (variance_a + variance_b + _C2)
    return float((light * structure).mean())


def _psnr(a: Tensor, b: Tensor) -> float:
    return float(10 * torch.log10(255**2 / (a - b).square().mean()))


def _windowed(values: Tensor) -> Tensor:
    """Gaussian means over all windows that fit: B 1 H W -> B 1 H-10 W-10."""
    offsets = torch.arange(_SSIM_WINDOW, dtype=values.dtype, device=values.device)
    line = torch.exp(-((offsets - _SSIM_WINDOW // 2) ** 2) / (2 * _SSIM_SIGMA**2))
    line = line / line.sum()
    return F.conv2d(F.conv2d(values, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))
