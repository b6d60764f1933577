"""Stand-in for the part of `comfy.utils` that shows progress."""

from __future__ import annotations

from typing import Protocol

from PIL import Image

__all__ = ["ProgressBar", "set_progress_bar_global_hook"]

Preview = tuple[str, Image.Image, int | None]
"""Format, picture (RGB), and the longest side to send."""


class Hook(Protocol):
    """Is told every step of every bar."""

    def __call__(
        self, value: float, total: float, preview: Preview | None, *, node_id: str | None = None
    ) -> None: ...


_hook: Hook | None = None


def set_progress_bar_global_hook(function: Hook | None) -> None:
    """Send the steps of bars that are made from now on to `function`."""
    global _hook
    _hook = function


class ProgressBar:
    """Counts to `total` and tells the hook; a preview picture may come along."""

    def __init__(self, total: float, node_id: str | None = None) -> None:
        self.total = total
        self.current: float = 0
        self.hook = _hook
        self.node_id = node_id

    def update_absolute(
        self, value: float, total: float | None = None, preview: Preview | None = None
    ) -> None:
        if total is not None:
            self.total = total
        self.current = min(value, self.total)
        if self.hook is not None:
            self.hook(self.current, self.total, preview, node_id=self.node_id)

    def update(self, value: float) -> None:
        self.update_absolute(self.current + value)
