"""How different two pictures look: FLIP (Andersson et al., 2020), by its authors' library."""

from __future__ import annotations

import importlib
import math

from torch import Tensor

from swin2sr_core.pictures.metrics import compared


def has_flip() -> bool:
    """Whether the extra `evaluate` is installed."""
    try:
        importlib.import_module("flip_evaluator")
    except ImportError:
        return False
    return True


def flip(image: Tensor, reference: Tensor, border: int) -> float:
    """The mean error of 1 C H W in 0..1 at 67 pixels a degree, 0..1 (0: they look the same).

    Not a number without the extra `evaluate`. Raises InputError as `compared` does.
    """
    if not has_flip():
        return math.nan
    library = importlib.import_module("flip_evaluator")
    test, original = (
        each[0].expand(3, -1, -1).permute(1, 2, 0).contiguous().float().numpy()
        for each in compared(image, reference, border)
    )
    _, error, _ = library.evaluate(original, test, "LDR", applyMagma=False)
    return float(error)
