"""Damages one after another, drawn by chance, and the four strengths of the test set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swin2sr_core.errors import InputError

from .damages import DAMAGES

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Step:
    """A damage by name (see `DAMAGES`), how likely it happens, and the range of its amount."""

    damage: str
    amount: tuple[float, float]
    chance: float = 1.0

    def __post_init__(self) -> None:
        if self.damage not in DAMAGES:
            known = ", ".join(DAMAGES)
            raise InputError(f"there is no damage {self.damage!r}; there are {known}")
        if not 0 <= self.chance <= 1 or self.amount[0] > self.amount[1]:
            raise InputError(f"{self} needs a chance of 0 to 1 and an amount from low to high")


@dataclass(frozen=True)
class Degradation:
    """How pictures are worsened: a `share` of them, by these steps.

    Each of `steps` happens by its chance, in random order; then `last` in their order, as
    a picture that is passed on is compressed at the end. Amounts are uniform in their ranges.
    """

    share: float = 0.0
    steps: tuple[Step, ...] = ()
    last: tuple[Step, ...] = ()


def worsened(pixels: Pixels, how: Degradation, rng: np.random.Generator) -> Pixels:
    """H x W x 3 bytes after all steps that chance picks; size and place stay. No `share` here."""
    steps = [how.steps[i] for i in rng.permutation(len(how.steps))]
    for step in (*steps, *how.last):
        if rng.random() < step.chance:
            low, high = step.amount
            pixels = DAMAGES[step.damage](pixels, rng.uniform(low, high), rng)
    return pixels


def _always(*steps: tuple[str, float]) -> Degradation:
    return Degradation(1.0, last=tuple(Step(name, (value, value)) for name, value in steps))


STRENGTHS = {
    "light": _always(("whole_jpeg", 70)),
    "medium": _always(("jpeg", 70), ("whole_jpeg", 50)),
    "strong": _always(("whole_jpeg", 40)),
    "severe": _always(("blur", 0.8), ("noise", 4), ("whole_jpeg", 60)),
}
"""JPEG 70; JPEG 70 and 50 on two grids; JPEG 40; blur, noise and JPEG 60: of the LR picture."""
