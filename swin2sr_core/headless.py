"""The former place of `swin2sr_headless`; its public names can still be imported from here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swin2sr_headless import Report, Session, make_host, run_workflow

__all__ = ["Report", "Session", "make_host", "run_workflow"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("swin2sr_headless"), name)
