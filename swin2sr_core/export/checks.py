"""Runs an exported file beside the network that it came from: how far apart they are, how fast."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ..errors import Swin2SRError
from ..network.network import Swin2SR
from .contract import Contract

Run = Callable[[Tensor], Tensor]
"""B C H W in 0..1 -> B C scale*H scale*W."""

LEAST_DECIBELS = {"fp32": 100.0, "fp16": 50.0}
"""Of the network's output over what the file's differs by; 1e-5 at every pixel is 100 dB."""

_SHAPES = ((1, 8, 8), (1, 16, 8), (3, 4, 6))
"""(batch, rows, columns of windows) where the sizes are open."""

_ROUNDS = 3


@dataclass(frozen=True)
class Check:
    """What `checked` found: the largest difference and the decibels over all sizes.

    `seconds` is one run of a picture of `timed` (width x height), the median of a few.
    """

    sizes: tuple[str, ...]
    difference: float
    decibels: float
    timed: str
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        decibels = round(min(self.decibels, 999.0), 2)  # JSON has no infinity
        return {**asdict(self), "sizes": list(self.sizes), "decibels": decibels}


@torch.no_grad()
def checked(
    network: Swin2SR, contract: Contract, run: Run, size: tuple[int, int] | None = None
) -> Check:
    """Compare `run` with `network` (fp32) on noise of several sizes, or of the fixed one.

    Raises Swin2SRError where values are not finite, or too far off for the precision.
    """
    window = contract.multiple_of
    shapes = [(1, *size)] if size else [(b, y * window, x * window) for b, y, x in _SHAPES]
    generator = torch.Generator().manual_seed(0)
    worst, error, count = 0.0, 0.0, 0
    for batch, height, width in shapes:
        image = torch.rand(batch, contract.channels, height, width, generator=generator)
        difference = (run(image) - network(image)).double()
        worst = max(worst, float(difference.abs().max()))
        error += float(difference.square().sum())
        count += difference.numel()
    decibels = -10 * math.log10(error / count) if error else math.inf
    _, height, width = shapes[0]
    check = Check(
        tuple(f"{b}x{w}x{h}" for b, h, w in shapes),
        worst,
        decibels,
        f"{width}x{height}",
        _seconds(run, torch.rand(1, contract.channels, height, width, generator=generator)),
    )
    least = LEAST_DECIBELS[contract.precision]
    if not decibels >= least:  # NaN is no larger
        raise Swin2SRError(
            f"the exported file gives another picture than the model: {decibels:.1f} dB, expected "
            f"at least {least:.0f} in {contract.precision}; please report it"
        )
    return check


def _seconds(run: Run, image: Tensor) -> float:
    spent = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        run(image)
        spent.append(time.perf_counter() - started)
    return statistics.median(spent)
