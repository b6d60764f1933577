"""Linear layers prepared for inference, in a float type."""

from __future__ import annotations

from functools import cached_property, lru_cache

import torch
from torch import Tensor, nn

from .derived import Deriving


class Linear(Deriving):
    """x @ weight.T + bias; weight is out x in.

    On a CPU with oneDNN the weight is brought into that library's own layout at the first call and
    kept: 4 to 23 % less time at the sizes of a band, measured in fp32 and bf16.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    @property
    def features(self) -> int:
        """Columns that come out."""
        return self.weight.shape[0]

    def forward(self, x: Tensor) -> Tensor:
        if self._packed is None:
            return torch.addmm(self.bias, x, self.weight.t())
        return torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")

    @cached_property
    def _packed(self) -> Tensor | None:
        if self.weight.device.type != "cpu" or self.weight.dtype not in _packable_types():
            return None
        return torch.ops.mkldnn._reorder_linear_weight(self.weight)


@lru_cache(maxsize=1)
def _packable_types() -> tuple[torch.dtype, ...]:
    """The types in which this torch can prepare weights for oneDNN, whose calls are not public."""
    if not torch.backends.mkldnn.is_available():
        return ()
    return tuple(each for each in (torch.float32, torch.bfloat16) if _packs(each))


def _packs(dtype: torch.dtype) -> bool:
    weight, bias, x = (torch.ones(shape, dtype=dtype) for shape in ((8, 16), (8,), (32, 16)))
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        out = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    except (RuntimeError, AttributeError):  # another torch, or a CPU without bf16 in oneDNN
        return False
    return bool((out == 17).all())
