"""Timing the engine, by precision and strategy, beside what limits it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from swin2sr_core.engine.upscale import make_plan, upscale
from swin2sr_core.models.model import Model
from swin2sr_core.planning.plan import Plan

from .matrix_products import ATTENTION, LAYERS, MatrixProducts
from .traffic import TrafficMeter, bytes_per_second, synchronize

Progress = Callable[[int, int], None]


@dataclass
class Timing:
    """Seconds of each round."""

    rounds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


Turn = tuple[Timing, torch.device, Callable[[], object]]
"""What is to be timed: where its seconds go, the device it uses, and how to do it once."""


@dataclass
class Reference:
    """What no engine is faster than at one size and precision, as the fastest plan computes it.

    `products` are all matrix products, those in attention included; `traffic` is the seconds that
    the bytes take which the operations read and write.
    """

    products: MatrixProducts
    traffic: float
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
            "traffic_ms": _ms(self.reference.traffic),
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
    speed = bytes_per_second(models[0].device)
    for height, width in sizes:
        shape = (1, models[0].config.in_channels, height, width)
        image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        for model in models:
            reference = measure_reference(model, image, speed)
            for strategy in strategies:
                plan = make_plan(model, height, width, strategy=strategy)
                cases.append(case := Case(model, image, plan, reference))
                case.run()
    return cases


def measure_reference(model: Model, image: Tensor, speed: float) -> Reference:
    """The limits of one upscale, which is run once; `speed` is in bytes per second."""
    window = model.config.window
    upscale(model, image[..., :window, :window])  # the first run also tries what torch can do
    products, meter = MatrixProducts(LAYERS | ATTENTION), TrafficMeter()
    with products.watching(), meter:
        upscale(model, image)
    products.replay()
    return Reference(products, meter.bytes / speed)


def take_turns(cases: Sequence[Case], repeat: int, progress: Progress) -> None:
    """Time `repeat` rounds of everything, so that a busy moment of the machine hits none alone."""
    references = {id(case.reference): case for case in cases}.values()
    turns: list[Turn] = [
        *((c.timing, c.model.device, c.run) for c in cases),
        *((c.reference.timing, c.model.device, c.reference.products.replay) for c in references),
    ]
    run_turns(turns, repeat, progress)


def run_turns(turns: Sequence[Turn], repeat: int, progress: Progress) -> None:
    """Time `repeat` rounds, in each of which everything has its turn."""
    for number in range(repeat):
        for index, (timing, device, action) in enumerate(turns, 1):
            timing.rounds.append(_timed(device, action))
            progress(number * len(turns) + index, repeat * len(turns))


def _timed(device: torch.device, action: Callable[[], object]) -> float:
    """Seconds of an action, whatever it has left to the device included."""
    synchronize(device)
    started = time.perf_counter()
    action()
    synchronize(device)
    return time.perf_counter() - started


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
