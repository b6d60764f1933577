"""int8: linear layers with int8 weights, one scale per output channel, and 8-bit activations.

Activations are quantised as they come, one scale per token (row), so that what a token becomes does
not depend on those that are computed with it. Products are summed in int32, and everything between
the products stays in float32.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..machine.devices import has_int8_products
from .int8_products import Int8Matrix

LIMIT = 127
"""The largest magnitude of an int8 here: symmetric, so that zero stays zero."""

GELU_MINIMUM = -0.17
"""GELU gives nothing below this (its minimum is -0.16997), so most levels may lie above zero."""

_BELOW, _ABOVE = 64, 191
"""Levels on either side of zero where little is below it."""

_TINY = 1e-30


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """(int8 of x's shape, float32 step of each row): the row's largest magnitude becomes 127."""
    step = x.abs().amax(dim=-1, keepdim=True).clamp_min_(_TINY).float() / LIMIT
    return (x / step).round_().to(torch.int8), step


def dequantize_rows(quantized: Tensor, step: Tensor) -> Tensor:
    """The float32 that int8 rows stand for; the inverse of `quantize_rows` up to half a step."""
    return quantized.float() * step


def signal_to_noise(x: Tensor, weight: Tensor, lowest: float | None = None) -> float:
    """Decibels of x @ weight.T over what int8 adds to it; x rows x in, weight out x in.

    `lowest` is as in `QuantizedLinear`.
    """
    exact = x.double() @ weight.double().t()
    layer = QuantizedLinear.of(weight, weight.new_zeros(len(weight)), lowest)
    noise = float((layer.quantized(x.float()) - exact).square().sum())
    signal = float(exact.square().sum())
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else math.inf


class QuantizedLinear(nn.Module):
    """x @ weight.T + bias in int8; x is rows x in, float32.

    `matrix` holds the weight, out x in, and what one means in each output channel. A row of x has
    127 levels on either side of zero or, if none of its values is below `lowest`, 64 below and 191
    above. Where the device has no int8 products, the weight is brought back to float for each call,
    and only the storage is int8.
    """

    bias: Tensor

    def __init__(self, matrix: Int8Matrix, bias: Tensor, lowest: float | None = None) -> None:
        super().__init__()
        self.matrix = matrix
        self.register_buffer("bias", bias)
        self.lowest = lowest

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, lowest: float | None = None) -> QuantizedLinear:
        """From the weight (out x in) and bias of a float layer."""
        quantized, step = quantize_rows(weight.float())
        return cls(Int8Matrix(quantized, step.flatten()), bias.float(), lowest)

    @property
    def features(self) -> int:
        """Columns that come out."""
        return len(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.quantized(x) if has_int8_products(x.device) else self._in_float(x)

    def quantized(self, x: Tensor) -> Tensor:
        """The layer in int8, on whatever device."""
        if self.lowest is None:
            levels, middle = torch.abs(x), 0
            step = levels.amax(dim=-1, keepdim=True).clamp_min_(_TINY).mul_(1 / LIMIT)
        else:
            levels, middle = torch.empty_like(x), _BELOW
            step = x.amax(dim=-1, keepdim=True).mul_(1 / _ABOVE).clamp_min_(-self.lowest / _BELOW)
        torch.mul(x, step.reciprocal(), out=levels)
        sums = self.matrix.product(levels, middle)
        return torch.addcmul(self.bias, sums, step, out=sums)

    def _in_float(self, x: Tensor) -> Tensor:
        weight = dequantize_rows(self.matrix.weight, self.matrix.step[:, None])
        return torch.addmm(self.bias, x, weight.t())
