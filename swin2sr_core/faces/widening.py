"""A model's fp32 twin, for what its own number format could not hold."""

from __future__ import annotations

from dataclasses import replace

from ..models.model import Model
from ..prepared.folded import FoldedNetwork


def in_fp32(model: Model) -> Model | None:
    """The same weights, computed with in fp32; None where that is no other model.

    Weights keep the digits that they lost in a narrower format: this is about range.
    """
    if model.precision == "fp32" or not isinstance(model.network, FoldedNetwork):
        return None
    return replace(model, precision="fp32", network=model.network.in_fp32())
