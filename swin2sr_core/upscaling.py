"""Upscale images by a plan: passes, frames, progress, and the report of what happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .devices import free_bytes
from .engine import Pass
from .errors import InputError, Interrupted
from .folding import FoldedNetwork
from .model import Attempts, Model
from .plan import PassPlan, Plan, plan_upscale
from .resize import resize
from .tiling import run_tiles

Progress = Callable[[int, int], None]
ShouldStop = Callable[[], bool]

_RESERVE = 0.1
"""The part of the free memory that a plan leaves to everything else, when no budget is given."""


@dataclass(frozen=True)
class Report:
    """What was done, for people and for JSON. `peak_bytes` is the device's, None where unknown."""

    model: str
    device: str
    precision: str
    strategy: str
    plan: Plan
    seconds: float
    peak_bytes: int | None
    fallbacks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Plain values only; the plan becomes its own dictionary."""
        shallow = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**shallow, "plan": self.plan.to_dict(), "fallbacks": list(self.fallbacks)}


@dataclass(frozen=True)
class Result:
    """The upscaled `image`, B C h w float32 in 0..1 where the input is, and how it came about."""

    image: Tensor
    report: Report


def upscale(
    model: Model,
    image: Tensor,
    scale: float | None = None,
    plan: Plan | None = None,
    budget_bytes: int | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
) -> Result:
    """Upscale a batch of images, B C H W float in 0..1 on any device; the input is left as it is.

    `scale` is the whole enlargement (None: x4, or x1 for restoration networks): checkpoints of a
    smaller scale are applied again, and what is too large is reduced with antialiasing. Without a
    `plan` one is made for `budget_bytes` (None: what is free now). `progress(done, total)` and
    `should_stop()` are called at least once per band. Raises `InputError` for images the network
    can't take, `BudgetError` when no plan fits, `Interrupted` when `should_stop()` is true.
    """
    _check_image(image, model)
    batch, channels, height, width = image.shape
    if plan is None:
        plan = make_plan(model, height, width, scale, budget_bytes, batch)
    counter = _Counter(plan.work * batch, progress, should_stop)
    started = time.perf_counter()
    output = image.new_empty(
        (batch, channels, plan.output_height, plan.output_width), dtype=torch.float32
    )
    on_cuda = model.device.type == "cuda"
    before = _start_of_peak(model.device) if on_cuda else 0
    attempts = Attempts(model)
    for index in range(batch):
        _upscale_one(attempts, image[index : index + 1], plan, output[index : index + 1], counter)
    if on_cuda:
        torch.cuda.synchronize(model.device)
    report = Report(
        model=model.name,
        device=str(model.device),
        precision=model.precision,
        strategy=plan.strategy,
        plan=plan,
        seconds=time.perf_counter() - started,
        peak_bytes=torch.cuda.max_memory_allocated(model.device) - before if on_cuda else None,
        fallbacks=tuple(attempts.fallbacks),
    )
    return Result(output, report)


def make_plan(
    model: Model,
    height: int,
    width: int,
    scale: float | None = None,
    budget_bytes: int | None = None,
    batch: int = 1,
    strategy: str = "auto",
    tile: int = 0,
    overlap: int | None = None,
    blend: str = "gaussian",
) -> Plan:
    """The plan for this model and image size; without a budget, for the memory that is free now."""
    if budget_bytes is None:
        free = free_bytes(model.device)
        budget_bytes = None if free is None else int(free * (1 - _RESERVE))
    return plan_upscale(
        model.config,
        height,
        width,
        scale,
        model.precision,
        budget_bytes,
        strategy,
        model.device.type,
        batch,
        tile,
        overlap,
        blend,
    )


def _upscale_one(
    attempts: Attempts, image: Tensor, plan: Plan, output: Tensor, counter: _Counter
) -> None:
    """Run all passes on one frame and leave the result, in 0..1, in `output`."""
    for index, step in enumerate(plan.passes):
        size = (step.height * step.config.scale, step.width * step.config.scale)
        last = index == len(plan.passes) - 1
        direct = last and size == tuple(output.shape[-2:])
        target = output if direct else output.new_empty((1, output.shape[1], *size))
        attempts.run(partial(_run_pass, step, image, target, counter, counter.done))
        image = target.clamp_(0, 1)
        if last and not direct:
            output.copy_(resize(image, plan.output_height, plan.output_width).clamp_(0, 1))


def _run_pass(
    step: PassPlan,
    image: Tensor,
    target: Tensor,
    counter: _Counter,
    done: int,
    network: FoldedNetwork,
) -> None:
    """Fill `target`; `done` is the work that was finished before, also when this is repeated."""
    counter.done = done
    if step.strategy == "tiled":
        run_tiles(network, step, image, target, counter.advance)
    else:
        Pass.prepare(network, step, image, counter.advance).run(target)


class _Counter:
    """Adds up finished work, tells `progress`, and stops the run when `should_stop` says so."""

    def __init__(
        self, total: int, progress: Progress | None, should_stop: ShouldStop | None
    ) -> None:
        self.done = 0
        self.total = total
        self.progress = progress
        self.should_stop = should_stop

    def advance(self, work: int) -> None:
        self.done += work
        if self.progress is not None:
            self.progress(self.done, self.total)
        if self.should_stop is not None and self.should_stop():
            raise Interrupted("stopped on request; nothing was written")


def _start_of_peak(device: torch.device) -> int:
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _check_image(image: Tensor, model: Model) -> None:
    if image.dim() != 4 or not image.is_floating_point():
        raise InputError(
            f"an image is a float tensor of shape B x C x H x W, got {image.dtype} of shape "
            f"{tuple(image.shape)}"
        )
    if image.shape[1] != model.config.in_channels:
        raise InputError(
            f"{model.name} takes {model.config.in_channels} channel(s), got {image.shape[1]}; "
            "convert the image first"
        )
    if min(image.shape) < 1:
        raise InputError(f"the image is empty: its shape is {tuple(image.shape)}")
    finite = torch.isfinite(image)
    if not bool(finite.all()):
        frame, channel, y, x = (int(i) for i in (~finite).nonzero()[0])
        raise InputError(
            f"pixel x={x}, y={y} of frame {frame}, channel {channel}, is "
            f"{image[frame, channel, y, x].item()}; every pixel must be a finite number in 0..1"
        )
