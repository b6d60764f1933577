"""Swin2SR upscaling: exact at any size, within a memory budget.

    import swin2sr_core as s2
    model = s2.load_model("compact-x4")
    result = s2.upscale(model, image)

What needs torch is imported when it is first used, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .errors import (
    BudgetError,
    CheckpointError,
    DeviceError,
    DownloadError,
    InputError,
    Interrupted,
    ModelNotFoundError,
    OutOfMemoryError,
    OutputExistsError,
    Swin2SRError,
)

if TYPE_CHECKING:
    from .engine.upscale import Piece, Report, Result, make_plan, upscale
    from .models.model import Model, build_model, load_model
    from .network.config import Swin2SRConfig
    from .planning.plan import Plan, plan_upscale

__version__ = "0.2.0"

__all__ = [
    "BudgetError",
    "CheckpointError",
    "DeviceError",
    "DownloadError",
    "InputError",
    "Interrupted",
    "Model",
    "ModelNotFoundError",
    "OutOfMemoryError",
    "OutputExistsError",
    "Piece",
    "Plan",
    "Report",
    "Result",
    "Swin2SRConfig",
    "Swin2SRError",
    "build_model",
    "load_model",
    "make_plan",
    "plan_upscale",
    "upscale",
]

_HOMES = {
    "Swin2SRConfig": "network.config",
    "Model": "models.model",
    "build_model": "models.model",
    "load_model": "models.model",
    "Plan": "planning.plan",
    "plan_upscale": "planning.plan",
    "Piece": "engine.upscale",
    "Report": "engine.upscale",
    "Result": "engine.upscale",
    "make_plan": "engine.upscale",
    "upscale": "engine.upscale",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
