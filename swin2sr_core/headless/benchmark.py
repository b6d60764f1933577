"""Timing the engine, by precision and strategy, beside the matrix products it is made of."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..model import Model
from ..plan import Plan
from ..upscaling import make_plan, upscale
from .matrix_products import MatrixProducts

Progress = Callable[[int, int], None]


@dataclass
class Timing:
    """Seconds of each round."""

    rounds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


@dataclass
class Reference:
    """The matrix products of one size and precision, as the fastest plan computes them."""

    products: MatrixProducts
    timing: Timing = field(default_factory=Timing)


@dataclass
class Case:
    """One combination to time, beside what its matrix products take alone."""

    model: Model
    image: Tensor
    plan: Plan
    reference: Reference
    timing: Timing = field(default_factory=Timing)

    @property
    def ratio(self) -> float:
        """How many times as long as the matrix products the whole takes."""
        return self.timing.median / self.reference.timing.median

    def run(self) -> None:
        """Once."""
        upscale(self.model, self.image, plan=self.plan)

    def to_dict(self) -> dict[str, object]:
        height, width = self.image.shape[-2:]
        return {
            "input_size": [width, height],
            "precision": self.plan.precision,
            "strategy": self.plan.strategy,
            "median_ms": _ms(self.timing.median),
            "rounds_ms": [*map(_ms, self.timing.rounds)],
            "matrix_products_median_ms": _ms(self.reference.timing.median),
            "matrix_products_rounds_ms": [*map(_ms, self.reference.timing.rounds)],
            "matrix_products_calls": len(self.reference.products),
            "ratio": round(self.ratio, 3),
            "forecast_bytes": self.plan.forecast_bytes,
        }


def make_cases(
    models: Sequence[Model],
    sizes: Iterable[tuple[int, int]],
    strategies: Iterable[str],
) -> list[Case]:
    """Every combination, warmed up once, with its matrix products written down.

    models: one network in several precisions; sizes: (height, width) of a picture of noise.
    """
    cases = []
    for height, width in sizes:
        shape = (1, models[0].config.in_channels, height, width)
        image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        for model in models:
            reference = Reference(MatrixProducts())
            with reference.products.watching():
                Case(model, image, make_plan(model, height, width), reference).run()
            reference.products.replay()
            for strategy in strategies:
                plan = make_plan(model, height, width, strategy=strategy)
                cases.append(case := Case(model, image, plan, reference))
                case.run()
    return cases


def take_turns(cases: Sequence[Case], repeat: int, progress: Progress) -> None:
    """Time `repeat` rounds of everything, so that a busy moment of the machine hits none alone."""
    references = {id(case.reference): case for case in cases}.values()
    turns: list[tuple[Timing, torch.device, Callable[[], object]]] = [
        *((c.timing, c.model.device, c.run) for c in cases),
        *((c.reference.timing, c.model.device, c.reference.products.replay) for c in references),
    ]
    for number in range(repeat):
        for index, (timing, device, action) in enumerate(turns, 1):
            timing.rounds.append(_timed(device, action))
            progress(number * len(turns) + index, repeat * len(turns))


def _timed(device: torch.device, action: Callable[[], object]) -> float:
    """Seconds of an action, whatever it has left to the device included."""
    _synchronize(device)
    started = time.perf_counter()
    action()
    _synchronize(device)
    return time.perf_counter() - started


def _synchronize(device: torch.device) -> None:
    if device.type in ("cuda", "mps", "xpu"):
        getattr(torch, device.type).synchronize()


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
