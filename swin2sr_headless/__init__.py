"""The core without ComfyUI: the `swin2sr` command, and workflows run from Python.

    from swin2sr_headless import run_workflow
    report = run_workflow("upscale.json", inputs={"example.png": "photo.jpg"}, out="large")

What these names need is imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .workflow.report import Report
    from .workflow.runner import Session, make_host, run_workflow

__all__ = ["Report", "Session", "make_host", "run_workflow"]


def __getattr__(name: str) -> object:
    """Import what is asked for only then: the command line answers without it."""
    if name == "Report":
        from .workflow import report

        return report.Report
    if name in __all__:
        from .workflow import runner

        return getattr(runner, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
