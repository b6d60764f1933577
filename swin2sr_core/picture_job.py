"""One picture from request to result: the one way through the core for every caller.

Each frame is reduced if it is too large, padded where its edges wrap, upscaled by colour and alpha,
brought to its size, sharpened, and given better faces, as a `PicturePlan` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .engine.upscale import OnFallback, OnPiece, Report, room_on, upscale, upscale_rows
from .faces.step import FaceStep
from .models.model import Model
from .pictures import seamless
from .pictures.alpha import upscale_frame
from .pictures.frame import Frame, Strips
from .pictures.input_gate import gated
from .pictures.sharpen import sharpen, sharpened_rows
from .planning.budget import Room
from .planning.picture_plan import (
    WRAP_CONTEXT,
    PicturePlan,
    PictureSettings,
    can_stream,
    plan_picture,
    results_at_once,
)
from .progress import Progress, ShouldStop

_Key = tuple[int, int, int, bool]
_STEPS = 1000
"""Of a frame's progress, in which colours and alpha share."""


@dataclass(frozen=True)
class Callbacks:
    """Who is told what while a frame is computed.

    `progress(done, total)` counts the frame in thousandths; `should_stop` is as in `upscale`;
    `on_start` gets the planes (B C H W in 0..1) before the network does, `on_piece` what becomes of
    them (the colours alone), `on_fallback` a sentence when something does not go as planned;
    `on_faces` is called before faces are looked for; `turn` is entered around whatever a network
    computes, by several who share a device.
    """

    progress: Progress | None = None
    should_stop: ShouldStop | None = None
    on_start: Callable[[Tensor], None] | None = None
    on_piece: OnPiece | None = None
    on_fallback: OnFallback | None = None
    on_faces: Callable[[], None] | None = None
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)


@dataclass
class PictureReport:
    """What was done to the frames of a picture so far; `plan` is what was planned for the first."""

    plan: PicturePlan | None = None
    reports: list[Report] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    faces: int | None = None
    face_fallbacks: list[str] = field(default_factory=list)
    face_seconds: float = 0.0

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """What did not go as planned, each thing once."""
        told = (text for report in self.reports for text in report.fallbacks)
        return tuple(dict.fromkeys((*told, *self.face_fallbacks)))

    @property
    def strategy(self) -> str:
        """What was done in the end: a run that stepped down to tiles is *tiled*."""
        order = ("whole", "staged", "tiled")
        return max((report.strategy for report in self.reports), key=order.index)

    @property
    def seconds(self) -> float:
        """In the networks; files and colours are not counted."""
        return sum(report.seconds for report in self.reports) + self.face_seconds

    @property
    def peak_bytes(self) -> int | None:
        """The most that one call of the network took; None where it is unknown."""
        known = (each.peak_bytes for each in self.reports if each.peak_bytes is not None)
        return max(known, default=None)


@dataclass
class PictureJob:
    """Upscales pictures with one model and one set of settings.

    Plans are made once per size, for the `room` there is then; where memory ran out, the next
    picture of that size starts with the plan that worked. `slower` is as in `plan_within`.
    """

    model: Model
    settings: PictureSettings
    room: Callable[[], Room] | None = None
    slower: float = 1.0
    faces: FaceStep | None = None
    _plans: dict[_Key, PicturePlan] = field(default_factory=dict)

    def plan_for(
        self, height: int, width: int, channels: int, *, streamed: bool = False
    ) -> PicturePlan:
        """The plan for frames of this size; see `plan_picture` for the channels and the errors.

        streamed: whether it is for `strips`; else it is for `run`.
        """
        key = self._key(height, width, channels, streamed)
        if key not in self._plans:
            settings = self.settings if streamed else replace(self.settings, streamed=None)
            room = room_on(self.model.device) if self.room is None else self.room()
            self._plans[key] = plan_picture(
                self.model.prospect,
                height,
                width,
                settings,
                room,
                channels=channels,
                slower=self.slower,
            )
        return self._plans[key]

    def adopt(self, height: int, width: int, channels: int, plan: PicturePlan) -> None:
        """Use a plan that was made elsewhere for frames of this size."""
        self._plans[self._key(height, width, channels)] = plan

    def run(self, frame: Frame, report: PictureReport, callbacks: Callbacks | None = None) -> Frame:
        """The frame upscaled as planned, on its own device; `report` is told what was done.

        Raises what `plan_picture` and `upscale` raise.
        """
        width, height = frame.size
        plan = self.plan_for(height, width, frame.channels)
        _tell_plan(report, plan)
        return _FrameRun(self, plan, report, callbacks or Callbacks()).result(frame)

    def strips(
        self, frame: Frame, report: PictureReport, callbacks: Callbacks | None = None
    ) -> Strips | None:
        """The frame upscaled as by `run`, but row by row as it is taken; None where it cannot be.

        That is with faces, with alpha, with edges that wrap, and where `settings.streamed` is None:
        plans without it have room for the whole result. `report` is told once all rows are taken.
        """
        settings, config = self.settings, self.model.config
        wanted = settings.streamed is not None and can_stream(config, frame.channels, settings)
        if not wanted or self.faces is not None:
            return None
        width, height = frame.size
        plan = self.plan_for(height, width, frame.channels, streamed=True)
        _tell_plan(report, plan)
        frame = gated(frame, settings.max_input_side)
        bands = _FrameRun(self, plan, report, callbacks or Callbacks()).bands(frame)
        return Strips((plan.width, plan.height), frame.channels, bands)

    def step_down(self, planned: PicturePlan, now: PicturePlan) -> None:
        """`planned` did not fit into memory and has become `now`: the next frames start there."""
        for key, plan in self._plans.items():
            if plan == planned:
                self._plans[key] = now

    def _key(self, height: int, width: int, channels: int, streamed: bool = False) -> _Key:
        return height, width, results_at_once(self.model.config, channels), streamed


def _tell_plan(report: PictureReport, plan: PicturePlan) -> None:
    report.plan = report.plan or plan
    report.notices += [text for text in plan.notices if text not in report.notices]


@dataclass
class _FrameRun:
    """One frame on its way."""

    job: PictureJob
    plan: PicturePlan
    report: PictureReport
    callbacks: Callbacks
    _calls: int = 0
    _share: float = 1.0
    _planes: int = 3

    def result(self, frame: Frame) -> Frame:
        """Through everything that the settings ask for."""
        alpha = frame.alpha
        flat = alpha is None or bool(torch.all(alpha == alpha[0, 0, 0, 0]))
        self._share, self._planes = (1.0 if flat else 0.5), frame.color.shape[1]
        original = gated(frame, self.job.settings.max_input_side)
        padded = _mapped(original, self._wrapped) if self.plan.margin else original
        result = upscale_frame(padded, self._network)
        if self.plan.margin:
            result = _mapped(result, self._unwrapped)
        result = replace(result, color=self._sharpened(result.color))
        return self._with_faces(original, result)

    def _network(self, image: Tensor) -> Tensor:
        """1 x 3 x H x W -> 1 x 3 x h x w: first the colours, then alpha, which is not shown.

        A network for grey pictures sees each channel as a picture of its own.
        """
        colours = self._calls == 0
        if colours and self.callbacks.on_start is not None:
            self.callbacks.on_start(image)
        if self.job.model.config.in_channels == 3:
            return self._call(image)
        if colours and self._planes == 3:
            return self._call(image.transpose(0, 1)).transpose(0, 1)
        return self._call(image[:, :1]).expand(-1, 3, -1, -1)  # three times the same

    def _call(self, planes: Tensor) -> Tensor:
        callbacks, start = self.callbacks, self._calls * self._share
        with callbacks.turn:
            result = upscale(
                self.job.model,
                planes,
                plan=self.plan.plan,
                progress=lambda done, total: self._advance(start + self._share * done / total),
                should_stop=callbacks.should_stop,
                on_piece=callbacks.on_piece if self._calls == 0 else None,
                on_fallback=callbacks.on_fallback,
            )
        self._calls += 1
        self._note(result.report)
        return result.image

    def bands(self, frame: Frame) -> Iterator[Frame]:
        """Colours or grey alone, without anything that needs all of them."""
        grey = frame.color.shape[1] == 1
        callbacks = self.callbacks
        rows = upscale_rows(
            self.job.model,
            frame.color.expand(-1, 3, -1, -1),
            self.plan.plan,
            progress=lambda done, total: self._advance(done / total),
            should_stop=callbacks.should_stop,
            on_fallback=callbacks.on_fallback,
            turn=callbacks.turn,
        )
        one = (band.mean(dim=1, keepdim=True) for band in rows.bands) if grey else rows.bands
        yield from map(Frame, sharpened_rows(one, self.job.settings.sharpen))
        assert rows.report is not None
        self._note(rows.report)

    def _note(self, report: Report) -> None:
        self.report.reports.append(report)
        now = self.plan.after(report.next_plan)
        self.job.step_down(self.plan, now)
        self.plan = now

    def _advance(self, done: float) -> None:
        if self.callbacks.progress is not None:
            self.callbacks.progress(int(_STEPS * done), _STEPS)

    def _wrapped(self, plane: Tensor) -> Tensor:
        return seamless.wrap_pad(plane, self.plan.margin)

    def _unwrapped(self, plane: Tensor) -> Tensor:
        plane = seamless.wrap_crop(plane, self.plan.margin, self.plan.factor)
        return seamless.wrap_resize(plane, self.plan.height, self.plan.width).clamp(0, 1)

    def _sharpened(self, color: Tensor) -> Tensor:
        amount = self.job.settings.sharpen
        if not self.plan.margin:
            return sharpen(color, amount)
        padded = seamless.wrap_pad(color, WRAP_CONTEXT)
        return sharpen(padded, amount)[..., WRAP_CONTEXT:-WRAP_CONTEXT, WRAP_CONTEXT:-WRAP_CONTEXT]

    def _with_faces(self, original: Frame, result: Frame) -> Frame:
        if self.job.faces is None:
            return result
        if self.callbacks.on_faces is not None:
            self.callbacks.on_faces()
        with self.callbacks.turn:
            made = self.job.faces.apply(original, result, self.callbacks.should_stop)
        self.report.faces = (self.report.faces or 0) + made.count
        self.report.face_fallbacks += made.fallbacks
        self.report.face_seconds += made.seconds
        return made.frame


def _mapped(frame: Frame, function: Callable[[Tensor], Tensor]) -> Frame:
    return Frame(function(frame.color), None if frame.alpha is None else function(frame.alpha))
