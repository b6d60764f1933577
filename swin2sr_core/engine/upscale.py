"""Upscale images by a plan: passes, frames, progress, and the report of what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import InputError
from ..kernels.choice import Choice, chosen
from ..kernels.kernel import REFERENCE
from ..machine.devices import free_bytes
from ..machine.host_memory import free_host_bytes
from ..models.model import Attempts, Model, Network
from ..pictures.resize import resize, resized_rows
from ..planning.budget import Room, plan_within
from ..planning.plan import Plan
from ..planning.tiles import Box
from ..prepared.folded import FoldedNetwork
from ..prepared.precision import notes
from ..progress import Progress, ShouldStop, WorkCounter
from ..sentences import sentence
from .canvas import Canvas, RowCanvas, WholeCanvas
from .ladder import Ladder, retrying
from .passes import Finished
from .pulled import pulled
from .watch import MemoryWatch


@dataclass(frozen=True)
class Piece:
    """A rectangle that has just been filled, to look at while a run goes on.

    `image` is the picture that pass `pass_number` of `passes` (from 1) makes of frame `frame` (from
    0): 1 x C x h x w, roughly in 0..1, of which `box` is new. It is the run's own: look, don't
    touch.
    """

    frame: int
    pass_number: int
    passes: int
    image: Tensor
    box: Box


OnPiece = Callable[[Piece], None]

OnFallback = Callable[[str], None]
"""Called with a sentence whenever something does not go as planned, as it happens."""


@dataclass(frozen=True)
class Report:
    """What was done, for people and for JSON.

    `peak_bytes` is the most that the run took at once: on a device exactly what torch gave out for
    it, on a CPU how far the process grew; None where it is unknown. `fallbacks` has a sentence for
    every step down when memory ran short; `next_plan` is where these have led, the plan for another
    picture of this size, and `strategy` is that plan's: what was done in the end. `kernel` is what
    ran the blocks.
    """

    model: str
    device: str
    precision: str
    strategy: str
    plan: Plan
    seconds: float
    peak_bytes: int | None
    next_plan: Plan
    fallbacks: tuple[str, ...] = ()
    kernel: str = REFERENCE

    def to_dict(self) -> dict[str, object]:
        """Plain values only; the plan becomes its own dictionary."""
        shallow = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plans = {"plan": self.plan.to_dict(), "next_plan": self.next_plan.to_dict()}
        return {**shallow, **plans, "fallbacks": list(self.fallbacks)}


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
    on_piece: OnPiece | None = None,
    on_fallback: OnFallback | None = None,
) -> Result:
    """Upscale a batch of images, B C H W float in 0..1 on any device; the input is left as it is.

    `scale` is the whole enlargement (None: x4, or x1 for restoration networks): checkpoints of a
    smaller scale are applied again, and what is too large is reduced with antialiasing. Without a
    `plan` one is made for `budget_bytes` (None: what is free now). Where memory runs out all the
    same, a smaller plan goes on, which the report tells. `progress(done, total)` and
    `should_stop()` are called at least once per band, `on_piece` whenever a piece of a picture is
    there, `on_fallback` with each of the report's `fallbacks` as it happens. Raises `InputError`
    for images the network can't take, `BudgetError` when no plan fits, `OutOfMemoryError` when
    there is nothing smaller left, `Interrupted` when `should_stop()` is true.
    """
    retrying(lambda: _check_image(image, model), image.device, "looking at the picture")
    batch, channels, height, width = image.shape
    if plan is None:
        resident = image.device.type == model.device.type
        plan = make_plan(model, height, width, scale, budget_bytes, batch, resident=resident)
    _check_plan(plan, model, height, width)
    started = time.perf_counter()
    watch = MemoryWatch(model.device, plan.budget_bytes)
    shape = (batch, channels, plan.output_height, plan.output_width)
    output = retrying(
        lambda: torch.empty(shape, device=image.device), image.device, "the finished pictures"
    )
    counter = WorkCounter(plan.work * batch, progress, should_stop)
    run = _Run(model, plan, watch, counter, on_piece, on_fallback)
    for index in range(batch):
        run.upscale_frame(index, image[index : index + 1], output[index : index + 1])
    return Result(output, run.report(started))


@dataclass
class Rows:
    """A result that is made while it is taken: `bands` are 1 x C x rows x w float32 in 0..1.

    They come from the top, in host memory, and can be taken once. `report` is there afterwards.
    """

    bands: Generator[Tensor]
    report: Report | None = None


def upscale_rows(
    model: Model,
    image: Tensor,
    plan: Plan,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    on_fallback: OnFallback | None = None,
    turn: AbstractContextManager[object] | None = None,
) -> Rows:
    """As `upscale`, of one image, whose result is never there as a whole.

    What `upscale` raises is raised by `bands`. After a step down to another plan in the middle,
    the rows that have left stay as they are. The network runs in a thread of its own, so that it
    goes on while a band is taken in; `turn` is entered there while it does.
    """
    rows = Rows(_ for _ in ())
    turn = turn or nullcontext()
    rows.bands = _bands(rows, model, image, plan, progress, should_stop, on_fallback, turn)
    return rows


def _bands(
    rows: Rows,
    model: Model,
    image: Tensor,
    plan: Plan,
    progress: Progress | None,
    should_stop: ShouldStop | None,
    on_fallback: OnFallback | None,
    turn: AbstractContextManager[object],
) -> Generator[Tensor]:
    retrying(lambda: _check_image(image, model), image.device, "looking at the picture")
    _check_plan(plan, model, *image.shape[-2:])

    def work(emit: Callable[[Tensor], None], is_abandoned: Callable[[], bool]) -> None:
        def stop() -> bool:
            return is_abandoned() or (should_stop is not None and should_stop())

        with turn:
            started = time.perf_counter()
            watch = MemoryWatch(model.device, plan.budget_bytes)
            counter = WorkCounter(plan.work, progress, stop)
            run = _Run(model, plan, watch, counter, None, on_fallback)
            run.stream_frame(image, emit)
            rows.report = run.report(started)

    made = plan.passes[-1].height * model.scale, plan.passes[-1].width * model.scale
    size = plan.output_height, plan.output_width
    bands = pulled(work)
    if made == size:
        yield from bands
    else:
        yield from (band.clamp(0, 1) for band in resized_rows(bands, made[0], *size))


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
    resident: bool = False,
) -> Plan:
    """The plan for this model and image size; without a budget, for the memory that is free now.

    `resident` tells that the image is on the model's device, where the result is made then. See
    `plan_within` for what happens where that is too little, and for the errors.
    """
    request = model.prospect.request(
        height,
        width,
        scale,
        batch=batch,
        strategy=strategy,
        tile=tile,
        overlap=overlap,
        blend=blend,
    )
    return plan_within(request, room_on(model.device, resident), budget_bytes)


def room_on(device: torch.device, resident: bool = False) -> Room:
    """What is free there now, and on the host; `resident` where pictures are kept there."""
    host = None if device.type == "cpu" else free_host_bytes()
    return Room(free_bytes(device), where=str(device), host=host, resident=resident)


class _Fallbacks:
    """What did not go as planned.

    Apart from the run, whose parts call it: a run that its own parts held would keep the model
    until the garbage collector comes.
    """

    def __init__(self, tell: OnFallback | None) -> None:
        self.sentences: list[str] = []
        self._tell = tell

    def add(self, sentence: str) -> None:
        """Note it, and tell who wants to know."""
        self.sentences.append(sentence)
        if self._tell is not None:
            self._tell(sentence)


def _own_types(device: torch.device) -> AbstractContextManager[object]:
    """A block that computes in the types that were planned, also within a caller's autocast.

    Kernels read maps as what they should be: one of another type would be no number, or no memory.
    """
    if device.type not in ("cpu", "cuda"):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


class _Run:
    """One call of `upscale`: frame after frame, pass after pass."""

    def __init__(
        self,
        model: Model,
        plan: Plan,
        watch: MemoryWatch,
        counter: WorkCounter,
        on_piece: OnPiece | None,
        on_fallback: OnFallback | None,
    ) -> None:
        self.model, self.plan, self.counter, self.on_piece = model, plan, counter, on_piece
        self.watch = watch
        self._fallbacks = _Fallbacks(on_fallback)
        self.kernel = REFERENCE
        self.attempts = Attempts(model, self._fallbacks.add)
        self.ladder = Ladder(
            plan.request, watch, counter.advance, counter.rescale, self._fallbacks.add
        )
        for note in notes(model.precision, model.device):
            self._fallbacks.add(note)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """What did not go as planned, each thing once."""
        return tuple(dict.fromkeys(self._fallbacks.sentences))

    def upscale_frame(self, frame: int, image: Tensor, output: Tensor) -> None:
        """Run all passes on 1 x C x H x W and leave the result, in 0..1, in `output`."""
        for number in range(1, len(self.plan.passes) + 1):
            last = number == len(self.plan.passes)
            direct = last and self._made(number) == tuple(output.shape)
            target = output if direct else self._between(number, output.device)
            self._run_pass(number, image, WholeCanvas(target), self._watcher(frame, number, target))
            image = target.clamp_(0, 1)
            if last and not direct:
                self._reduce(image, output)

    def stream_frame(self, image: Tensor, emit: Callable[[Tensor], None]) -> None:
        """Run all passes on 1 x C x H x W; the last one's rows go to `emit`: see `RowCanvas`."""
        last = len(self.plan.passes)
        for number in range(1, last):
            target = self._between(number, image.device)
            self._run_pass(number, image, WholeCanvas(target))
            image = target.clamp_(0, 1)
        self._run_pass(last, image, RowCanvas(self._made(last), emit))

    def report(self, started: float) -> Report:
        """What was done since then, by `time.perf_counter`."""
        model, plan = self.model, self.plan
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        next_plan = replace(plan, passes=tuple(self.ladder.taken(each) for each in plan.passes))
        return Report(
            model=model.name,
            device=str(model.device),
            precision=model.precision,
            strategy=next_plan.strategy,
            plan=plan,
            seconds=time.perf_counter() - started,
            peak_bytes=self.watch.peak_bytes,
            next_plan=next_plan,
            fallbacks=self.fallbacks,
            kernel=self.kernel,
        )

    def _made(self, number: int) -> tuple[int, int, int, int]:
        """The shape of what pass `number`, from 1, makes of one frame."""
        step, scale = self.plan.passes[number - 1], self.model.scale
        return (1, self.model.config.in_channels, step.height * scale, step.width * scale)

    def _between(self, number: int, device: torch.device) -> Tensor:
        shape = self._made(number)
        size = f"{shape[3]}x{shape[2]}"
        purpose = sentence("between_passes", "a picture of {size} between two passes", size=size)
        return retrying(lambda: torch.empty(shape, device=device), device, purpose)

    def _run_pass(
        self, number: int, image: Tensor, target: Canvas, finished: Finished | None = None
    ) -> None:
        """Fill `target` by pass `number`, counted from 1.

        In a wider type if what comes of the model's own is not finite.
        """
        step = self.plan.passes[number - 1]

        def work(network: Network) -> None:
            own = network is self.model.network
            plan = step if own else replace(step, precision=self.attempts.precision)
            self.counter.rescale(plan.work)
            with _own_types(self.model.device):
                self.ladder.run(network, plan, image, target, finished)
                if isinstance(network, FoldedNetwork):
                    self._look_at_kernel(chosen(network))
                else:
                    self.kernel = network.name

        with self.counter.part(step.work):
            self.attempts.run(work)

    def _look_at_kernel(self, choice: Choice) -> None:
        self.kernel = choice.name
        if choice.fault:
            self._fallbacks.add(choice.fault)

    def _reduce(self, image: Tensor, output: Tensor) -> None:
        size = self.plan.output_height, self.plan.output_width
        reduced = retrying(
            lambda: resize(image, *size).clamp_(0, 1),
            image.device,
            sentence("reducing", "reducing the picture"),
        )
        output.copy_(reduced)

    def _watcher(self, frame: int, number: int, target: Tensor) -> Finished | None:
        if self.on_piece is None:
            return None
        on_piece, passes = self.on_piece, len(self.plan.passes)
        return lambda box: on_piece(Piece(frame, number, passes, target, box))


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
    # Whatever is not finite shows in the extremes, which take no memory.
    if not all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(image)):
        frame, channel, y, x = (int(i) for i in (~torch.isfinite(image)).nonzero()[0])
        raise InputError(
            f"pixel x={x}, y={y} of frame {frame}, channel {channel}, is "
            f"{image[frame, channel, y, x].item()}; every pixel must be a finite number in 0..1"
        )


def _check_plan(plan: Plan, model: Model, height: int, width: int) -> None:
    first = plan.passes[0]
    if (first.height, first.width) != (height, width):
        raise InputError(
            f"the plan is for a picture of {first.width}x{first.height}, this one has "
            f"{width}x{height}; make a plan for each size"
        )
    if first.config != model.config or plan.precision != model.precision:
        raise InputError(
            f"the plan is for another network, or for {plan.precision}: {model.name} runs in "
            f"{model.precision}; make a plan for each model"
        )
