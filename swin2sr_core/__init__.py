"""Swin2SR upscaling: exact at any size, within a memory budget.

import swin2sr_core as s2
model = s2.load_model("compact-x4")
result = s2.upscale(model, image)
"""

from .config import Swin2SRConfig
from .errors import (
    BudgetError,
    CheckpointError,
    DeviceError,
    DownloadError,
    InputError,
    Interrupted,
    ModelNotFoundError,
    OutputExistsError,
    Swin2SRError,
)
from .model import Model, load_model
from .plan import Plan, plan_upscale
from .upscale import Report, Result, make_plan, upscale

__version__ = "0.1.0"

__all__ = [
    "BudgetError",
    "CheckpointError",
    "DeviceError",
    "DownloadError",
    "InputError",
    "Interrupted",
    "Model",
    "ModelNotFoundError",
    "OutputExistsError",
    "Plan",
    "Report",
    "Result",
    "Swin2SRConfig",
    "Swin2SRError",
    "load_model",
    "make_plan",
    "plan_upscale",
    "upscale",
]
