"""int8: linear layers with int8 weights, one scale per output channel, and int8 activations.

Activations are quantised as they come, one scale per token (row), products summed in int32, and
everything between the products stays in float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .devices import has_int8_products

LIMIT = 127
"""The largest magnitude of an int8 here: symmetric, so that zero stays zero."""

_ALIGNMENT = 8
"""GPUs multiply int8 matrices only if both their sides are multiples of this."""

_TINY = 1e-30


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """(int8 of x's shape, float32 step of each row): the row's largest magnitude becomes 127."""
    step = x.abs().amax(dim=-1, keepdim=True).clamp_min_(_TINY).float() / LIMIT
    return (x / step).round_().to(torch.int8), step


def dequantize_rows(quantized: Tensor, step: Tensor) -> Tensor:
    """The float32 that int8 rows stand for; the inverse of `quantize_rows` up to half a step."""
    return quantized.float() * step


def signal_to_noise(x: Tensor, weight: Tensor) -> float:
    """Decibels of x @ weight.T over what int8 adds to it; x rows x in, weight out x in."""
    exact = x.double() @ weight.double().t()
    product = dequantize_rows(*quantize_rows(x)) @ dequantize_rows(*quantize_rows(weight)).t()
    noise = float((product - exact).square().sum())
    signal = float(exact.square().sum())
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else math.inf


@dataclass(frozen=True, eq=False)
class QuantizedLinear:
    """x @ weight.T + bias, in int8; x is rows x in, float32.

    `weight` is int8, out x in, both sides padded with zeros to what GPUs ask for; `step` is the
    float32 step of each output channel. Where the device has no int8 products, the weight is
    brought back to float for each call, and only the storage is int8.
    """

    weight: Tensor
    step: Tensor
    bias: Tensor

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> QuantizedLinear:
        """From the weight (out x in) and bias of a float layer."""
        outputs, inputs = weight.shape
        quantized, step = quantize_rows(weight.float())
        padded = quantized.new_zeros(_aligned(outputs), _aligned(inputs))
        padded[:outputs, :inputs] = quantized
        return cls(padded, step.flatten(), bias.float())

    @property
    def features(self) -> int:
        return len(self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        if not has_int8_products(x.device):
            kept = self.weight[: self.features, : x.shape[1]]
            weight = dequantize_rows(kept, self.step[:, None])
            return torch.addmm(self.bias, x, weight.t())
        rows, step = self._quantized(x)
        sums = torch.ops.aten._int_mm(rows, self.weight.t())[:, : self.features]
        out = sums.float().mul_(self.step)
        return torch.addcmul(self.bias, out, step, out=out)

    def _quantized(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`quantize_rows` with zeros where the weight is padded, in as few passes as there are."""
        scratch = torch.abs(x)
        step = scratch.amax(dim=-1, keepdim=True).clamp_min_(_TINY).div_(LIMIT)
        torch.div(x, step, out=scratch).round_()
        rows = torch.empty((len(x), self.weight.shape[1]), dtype=torch.int8, device=x.device)
        rows[:, : x.shape[1]].copy_(scratch)
        rows[:, x.shape[1] :].zero_()
        return rows, step


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
