"""A limit on the size of inputs: larger pictures are reduced first, with a notice."""

from __future__ import annotations

from ..planning.picture_plan import gated_size, notice
from .frame import Frame
from .resize import resize

__all__ = ["gated", "gated_size", "notice"]


def gated(frame: Frame, max_side: int) -> Frame:
    """The frame, reduced with antialiasing if a side is over `max_side` pixels (0: no limit)."""
    width, height = frame.size
    size = gated_size(height, width, max_side)
    if size == (height, width):
        return frame
    color = resize(frame.color, *size).clamp_(0, 1)
    return Frame(color, None if frame.alpha is None else resize(frame.alpha, *size).clamp_(0, 1))
