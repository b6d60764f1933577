"""A limit on the size of inputs: who sets one has larger pictures reduced first, with a notice."""

from __future__ import annotations

from ..errors import InputError
from .frame import Frame
from .resize import resize


def gated_size(height: int, width: int, max_side: int) -> tuple[int, int]:
    """Height and width with no side over `max_side` pixels (0: no limit), in proportion."""
    if max_side < 0:
        raise InputError(f"max_input_side must be 0 (no limit) or more, got {max_side}")
    longest = max(height, width)
    if max_side == 0 or longest <= max_side:
        return height, width
    factor = max_side / longest
    return max(1, round(height * factor)), max(1, round(width * factor))


def gated(frame: Frame, max_side: int) -> Frame:
    """The frame, reduced with antialiasing if a side is over `max_side` pixels (0: no limit)."""
    width, height = frame.size
    size = gated_size(height, width, max_side)
    if size == (height, width):
        return frame
    color = resize(frame.color, *size).clamp_(0, 1)
    return Frame(color, None if frame.alpha is None else resize(frame.alpha, *size).clamp_(0, 1))


def notice(before: tuple[int, int], after: tuple[int, int], max_side: int) -> str:
    """What users are told; sizes are (height, width)."""
    return (
        f"{before[1]}x{before[0]} was reduced to {after[1]}x{after[0]} first, as max_input_side "
        f"is {max_side}"
    )
