"""A model's fp32 twin, for what its own number format could not hold."""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from ..models.model import Model

T = TypeVar("T")


def in_fp32(model: Model) -> Model | None:
    """The same weights, computed with in fp32; None for a model that does that already.

    Weights keep the digits that they lost in a narrower format: this is about range.
    """
    if model.precision == "fp32":
        return None
    return replace(model, precision="fp32", network=_widened(model.network))


def _widened(value: T) -> T:
    """A copy of nested dataclasses, tuples, dicts, tensors and modules, all floats as float32."""
    if isinstance(value, nn.Module):
        return cast(T, copy.deepcopy(value).float())
    if isinstance(value, Tensor):
        return cast(T, value.float() if value.is_floating_point() else value)
    if isinstance(value, torch.dtype):
        return cast(T, torch.float32 if value.is_floating_point else value)
    if isinstance(value, tuple):
        return cast(T, tuple(_widened(each) for each in value))
    if isinstance(value, dict):
        return cast(T, {key: _widened(each) for key, each in value.items()})
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _widened(getattr(value, f.name)) for f in fields(value)})
    return value
