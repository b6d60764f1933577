"""The libraries of the extra `export`, and one sentence where they are not installed."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import DeviceError


def needed(name: str) -> Any:
    """The module of that name. Raises DeviceError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DeviceError(
            f"this needs {name}, which is not installed: pip install {name} (or swin2sr[export])"
        ) from error
