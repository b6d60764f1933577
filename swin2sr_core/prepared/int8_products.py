"""Products of 8-bit activations and an int8 weight, by the best that a device and torch have."""

from __future__ import annotations

from functools import cached_property, lru_cache

import torch
from torch import Tensor

from .derived import Deriving

_ALIGNMENT = 8
"""GPUs multiply int8 matrices only if both their sides are multiples of this."""

_SIGN = 128
"""The bit that tells an int8 from the same number plus 128 as an unsigned byte."""


class Int8Matrix(Deriving):
    """An int8 weight (out x in) whose output channels have a `step` each (float32)."""

    weight: Tensor
    step: Tensor

    def __init__(self, weight: Tensor, step: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("step", step)

    def product(self, levels: Tensor, middle: int) -> Tensor:
        """round(levels) @ weight.T * step: rows x out, float32, summed in int32.

        `levels` is rows x in, float32, within middle-128..middle+127, and is overwritten.
        """
        if middle:
            levels -= middle
        rows = levels.round_().to(torch.int8)
        if self._packed is None:
            return self._by_int_mm(rows, middle)
        zero = _SIGN - middle
        return torch.ops.onednn.qlinear_pointwise(
            rows.view(torch.uint8).bitwise_xor_(_SIGN), 1.0, zero,
            self._packed, self.step, self._zeros, None,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip

    def _by_int_mm(self, rows: Tensor, middle: int) -> Tensor:
        outputs, inputs = self.weight.shape
        if inputs < self._padded.shape[0]:
            rows = torch.nn.functional.pad(rows, (0, self._padded.shape[0] - inputs))
        sums = torch.ops.aten._int_mm(rows, self._padded)[:, :outputs]
        if middle:
            sums += middle * self._sums
        return sums * self.step

    @cached_property
    def _packed(self) -> Tensor | None:
        """The weight in oneDNN's own layout, on CPUs."""
        if self.weight.device.type != "cpu" or not _onednn_multiplies_bytes():
            return None
        return torch.ops.onednn.qlinear_prepack(self.weight, None)

    @cached_property
    def _zeros(self) -> Tensor:
        return torch.zeros(len(self.weight), dtype=torch.int64)

    @cached_property
    def _padded(self) -> Tensor:
        """in x out, with zeros to what GPUs ask for."""
        aligned = (-(-size // _ALIGNMENT) * _ALIGNMENT for size in self.weight.shape)
        padded = self.weight.new_zeros(*aligned)
        padded[: self.weight.shape[0], : self.weight.shape[1]] = self.weight
        return padded.t()

    @cached_property
    def _sums(self) -> Tensor:
        return self.weight.sum(dim=1, dtype=torch.int32)


@lru_cache(maxsize=1)
def _onednn_multiplies_bytes() -> bool:
    """Whether this torch's calls of oneDNN, which are not public, work and keep large sums."""
    matrix = Int8Matrix(torch.full((8, 64), 127, dtype=torch.int8), torch.ones(8))
    try:
        matrix.__dict__["_packed"] = torch.ops.onednn.qlinear_prepack(matrix.weight, None)
        product = matrix.product(torch.full((4, 64), 255.0), middle=_SIGN)
    except (RuntimeError, AttributeError, TypeError):
        return False
    return bool((product == 64 * 127 * 255).all())
