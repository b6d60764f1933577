"""Crops through the network: equal sizes together, checked, and computed wider where need be."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..engine.upscale import make_plan, upscale
from ..errors import Interrupted, NonFiniteError
from ..models.model import Model
from ..planning.plan import Plan
from ..planning.request import pass_count
from ..planning.tiles import Box
from ..sentences import sentence
from .planning import Region
from .widening import in_fp32

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
ShouldStop = Callable[[], bool]
PlanFor = Callable[[Model, int, int, float, int], Plan]
"""(model, height, width, scale, batch) -> the plan for a crop; BudgetError where none fits."""

_BATCH_PIXELS = 256 * 256
"""LR pixels that go through the network together, at most: one large crop, or some small ones."""

Turn = tuple[int, bool]
"""Quarter turns, and whether the picture is mirrored after them."""

_UPRIGHT: tuple[Turn, ...] = ((0, False),)
_ALL_TURNS: tuple[Turn, ...] = tuple((turns, flip) for flip in (False, True) for turns in range(4))


@dataclass
class CropRunner:
    """Runs a model over crops of pictures; `plans` are those made, one for each size of crops."""

    model: Model
    scale: float
    ensemble: bool = False
    budget_bytes: int | None = None
    progress: Progress | None = None
    should_stop: ShouldStop | None = None
    plan_for: PlanFor | None = None
    fallbacks: list[str] = field(default_factory=list)
    plans: dict[tuple[str, int, int, int], Plan] = field(default_factory=dict)
    _wider: Model | None = None

    @property
    def factor(self) -> int:
        """How many times as large as a crop the result is."""
        return self.model.scale ** pass_count(self.model.config, self.scale)

    def run(self, color: Tensor, crops: Sequence[Box]) -> Iterator[tuple[int, Tensor]]:
        """Index and result (3 n*H n*W float32 in 0..1) of every crop of `color`, 1 x 3 x H x W.

        Crops come in the order of their sizes. One that stays non-finite even in fp32 is left out,
        with a warning. Raises BudgetError before anything is computed, Interrupted on request.
        """
        groups = _batches(crops)
        work = [self.work(crops[group[0]], len(group)) for group in groups]
        done, total = 0, sum(work)
        for group, cost in zip(groups, work, strict=True):
            self._check_stop()
            batch = torch.cat([color[..., crops[i].rows, crops[i].columns] for i in group])
            start = done

            def advance(part: int, whole: int, start: int = start, cost: int = cost) -> None:
                if self.progress is not None:
                    self.progress(start + cost * part // whole, total)

            results = self._finite(batch, advance)
            yield from ((i, r) for i, r in zip(group, results, strict=True) if r is not None)
            done += cost

    def plan(self, model: Model, height: int, width: int, batch: int = 1) -> Plan:
        """The plan for so many crops of that size, made once."""
        key = (model.precision, height, width, batch)
        if key not in self.plans:
            asked = (model, height, width, self.factor)
            if self.plan_for is not None:
                self.plans[key] = self.plan_for(*asked, batch)
            else:
                self.plans[key] = make_plan(*asked, self.budget_bytes, batch)
        return self.plans[key]

    def work(self, crop: Box, count: int = 1) -> int:
        """Floating-point operations for `count` crops of that size."""
        turns = _ALL_TURNS if self.ensemble else _UPRIGHT
        sizes = [(crop.height, crop.width), (crop.width, crop.height)]
        plans = [self.plan(self.model, *sizes[turn % 2], count * self._planes) for turn, _ in turns]
        return sum(plan.work for plan in plans) * count

    @property
    def _planes(self) -> int:
        """Pictures that the network makes of one crop: a network for grey ones makes three."""
        return 3 if self.model.config.in_channels == 1 else 1

    def _finite(self, batch: Tensor, advance: Progress) -> list[Tensor | None]:
        """The results of a batch; what is not finite is done again in fp32, one by one."""
        try:
            return list(self._apply(self.model, batch, advance))
        except NonFiniteError:
            return [self._again(crop, len(batch) > 1) for crop in batch.split(1)]

    def _again(self, crop: Tensor, others: bool) -> Tensor | None:
        """One crop of a batch that failed; with `others` in it, it may not have been this one."""
        if others and (result := self._attempt(self.model, crop)) is not None:
            return result
        self._wider = self._wider or in_fp32(self.model)
        if self._wider is not None:
            self._tell(
                sentence(
                    "face_redone",
                    "a face was not finite in {precision} and was redone in fp32",
                    precision=self.model.precision,
                )
            )
            if (result := self._attempt(self._wider, crop)) is not None:
                return result
        self._tell(
            sentence(
                "face_stays",
                "a face was not finite even in fp32 and stays as it was; try another model",
            )
        )
        return None

    def _attempt(self, model: Model, crop: Tensor) -> Tensor | None:
        try:
            return self._apply(model, crop, lambda _done, _total: None)[0]
        except NonFiniteError:
            return None

    def _tell(self, text: str) -> None:
        if text not in self.fallbacks:
            self.fallbacks.append(text)
            logger.warning("%s", text)

    def _apply(self, model: Model, batch: Tensor, advance: Progress) -> Tensor:
        """B 3 H W -> B 3 n*H n*W, the mean over all turns where `ensemble` asks for it."""
        turns = _ALL_TURNS if self.ensemble else _UPRIGHT
        total = torch.zeros(0)
        for number, turn in enumerate(turns):
            turned = turned_by(batch, turn)

            def part(done: int, whole: int, number: int = number) -> None:
                advance(number * whole + done, whole * len(turns))

            result = turned_back(self._once(model, turned, part), turn)
            total = result if number == 0 else total + result
        return total / len(turns) if len(turns) > 1 else total

    def _once(self, model: Model, batch: Tensor, advance: Progress) -> Tensor:
        plan = self.plan(model, batch.shape[2], batch.shape[3], len(batch) * self._planes)
        grey = model.config.in_channels == 1
        # a network for grey pictures sees every channel as one
        planes = batch.flatten(0, 1).unsqueeze(1) if grey else batch
        made = upscale(
            model, planes.contiguous(), plan=plan, progress=advance, should_stop=self.should_stop
        )
        self.fallbacks += [f for f in made.report.fallbacks if f not in self.fallbacks]
        return made.image.unflatten(0, (len(batch), 3)).squeeze(2) if grey else made.image

    def _check_stop(self) -> None:
        if self.should_stop is not None and self.should_stop():
            raise Interrupted("stopped on request; nothing was written")


def network_scale(model: Model, scale: float) -> float:
    """What to ask of the network for a picture that is `scale` times the original.

    Rounded sizes must not cost a whole pass: 4.01 means 4.
    """
    steps = (float(model.scale**passes) for passes in range(7))
    return next((step for step in steps if math.isclose(scale, step, rel_tol=1e-2)), scale)


def crop_plans(
    model: Model, regions: Sequence[Region], scale: float, plan_for: PlanFor | None = None
) -> list[Plan]:
    """The plans by which a picture's crops will be run: one for each size of them.

    Raises BudgetError where a crop fits in no way.
    """
    runner = CropRunner(model, network_scale(model, scale), plan_for=plan_for)
    crops = [region.crop for region in regions]
    for group in _batches(crops):
        runner.work(crops[group[0]], len(group))
    return list(runner.plans.values())


def turned_by(image: Tensor, turn: Turn) -> Tensor:
    """B C H W rotated and flipped (self-ensemble, TTA); the inverse of `turned_back`."""
    turned = image.rot90(turn[0], (2, 3))
    return turned.flip(3) if turn[1] else turned


def turned_back(image: Tensor, turn: Turn) -> Tensor:
    """B C H W as it was before `turned_by`."""
    unflipped = image.flip(3) if turn[1] else image
    return unflipped.rot90(-turn[0], (2, 3))


def _batches(crops: Sequence[Box]) -> list[list[int]]:
    """Indices of crops of equal size, as many together as may be."""
    order = sorted(range(len(crops)), key=lambda i: (crops[i].height, crops[i].width))
    batches: list[list[int]] = []
    for index in order:
        crop = crops[index]
        last = crops[batches[-1][0]] if batches else None
        same = last is not None and (last.height, last.width) == (crop.height, crop.width)
        if same and (len(batches[-1]) + 1) * crop.area <= _BATCH_PIXELS:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
