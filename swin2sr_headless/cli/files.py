"""One picture from file to file: the model loaded once, one plan per size, frames one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from swin2sr_core.engine.upscale import Report, make_plan, upscale
from swin2sr_core.errors import InputError
from swin2sr_core.models.model import Model
from swin2sr_core.pictures import Picture, open_picture, upscale_frame
from swin2sr_core.pictures.files.encoders import DEEP, format_of, save_picture
from swin2sr_core.pictures.files.metadata import Metadata
from swin2sr_core.pictures.frame import Frame, Pixels, from_pixels, over_white, to_pixels
from swin2sr_core.pictures.input_gate import gated, notice
from swin2sr_core.planning.plan import Plan

from .comparison import side_by_side
from .face_step import FaceStep
from .output import Bar, Console
from .process_memory import peak_process_bytes
from .stopping import StopSwitch
from .targets import Target, folder_of


@dataclass(frozen=True)
class Settings:
    """What the user asked for, for all pictures. None: the scale, budget, depth that suit."""

    scale: float | None
    budget_bytes: int | None
    strategy: str
    tile: int
    overlap: int | None
    bits: int | None
    quality: int | None
    overwrite: bool
    max_pixels: int
    max_input_side: int = 0


@dataclass(frozen=True)
class Done:
    """A finished picture. `peak_of` tells whose `peak_bytes` are: "device" or "process".

    `measured_bytes` is what the upscaling itself took, to be held against the plan's forecast.
    `faces` is how many were refined, None where nobody asked.
    """

    target: Target
    input_size: tuple[int, int]
    frames: int
    reports: tuple[Report, ...]
    peak_bytes: int | None
    peak_of: str
    measured_bytes: int | None = None
    faces: int | None = None
    face_fallbacks: tuple[str, ...] = ()
    face_seconds: float = 0
    notices: tuple[str, ...] = ()

    @property
    def report(self) -> Report:
        return self.reports[0]

    @property
    def output_size(self) -> tuple[int, int]:
        return self.report.plan.output_width, self.report.plan.output_height

    @property
    def seconds(self) -> float:
        """In the networks; files and colours are not counted."""
        return sum(each.seconds for each in self.reports) + self.face_seconds

    @property
    def strategy(self) -> str:
        return self.report.strategy

    @property
    def fallbacks(self) -> list[str]:
        told = (each for report in self.reports for each in report.fallbacks)
        return list(dict.fromkeys((*told, *self.face_fallbacks)))

    def to_dict(self) -> dict[str, object]:
        peak, comparison = self.peak_bytes, self.target.comparison
        return {
            "status": "ok",
            "input": str(self.target.source),
            "output": str(self.target.output),
            "comparison": None if comparison is None else str(comparison),
            "input_size": list(self.input_size),
            "output_size": list(self.output_size),
            "frames": self.frames,
            "model": self.report.model,
            "precision": self.report.precision,
            "device": self.report.device,
            "strategy": self.strategy,
            "inference_time_ms": round(self.seconds * 1000, 1),
            "peak_memory_gb": None if peak is None else round(peak / 2**30, 4),
            "peak_memory_of": self.peak_of,
            "forecast_bytes": self.report.plan.total_bytes,
            "measured_bytes": self.measured_bytes,
            "notices": list(self.notices),
            "fallbacks": self.fallbacks,
            "plan": self.report.plan.to_dict(),
            **({} if self.faces is None else {"faces": self.faces}),
        }


@dataclass(frozen=True)
class Upscaler:
    """Upscales picture files with one model."""

    model: Model
    settings: Settings
    console: Console
    stop: StopSwitch
    faces: FaceStep | None = None
    _plans: dict[tuple[int, int, bool], Plan] = field(default_factory=dict)

    def run(self, target: Target, label: str) -> Done:
        """Write the target's files; `label` names the picture beside its progress bar.

        Raises a Swin2SRError; what was begun has vanished then.
        """
        with (
            open_picture(target.source, self.settings.max_pixels) as picture,
            self.console.bar(label, picture.frame_count) as bar,
            folder_of(target.output),
        ):
            work = _PictureWork(self, picture, bar, keep_first=target.comparison is not None)
            save_picture(
                target.output,
                work.frames(),
                picture.metadata,
                bits=self._bits(picture, target),
                quality=self.settings.quality,
                overwrite=self.settings.overwrite,
            )
            self._compare(target, work, picture.metadata)
        peaks = [each.peak_bytes for each in work.reports if each.peak_bytes is not None]
        on_cpu = self.model.device.type == "cpu"
        return Done(
            target=target,
            input_size=picture.size,
            frames=picture.frame_count,
            reports=tuple(work.reports),
            peak_bytes=peak_process_bytes() if on_cpu or not peaks else max(peaks),
            peak_of="process" if on_cpu or not peaks else "device",
            measured_bytes=max(peaks, default=None),
            faces=work.faces,
            face_fallbacks=tuple(work.face_fallbacks),
            face_seconds=work.face_seconds,
            notices=tuple(dict.fromkeys(work.notices)),
        )

    def plan_for(self, frame: Frame) -> Plan:
        width, height = frame.size
        alpha = frame.alpha is not None
        if (height, width, alpha) not in self._plans:
            self._plans[height, width, alpha] = make_plan(
                self.model,
                height,
                width,
                self.settings.scale,
                self.settings.budget_bytes,
                # the colours wait while alpha is upscaled: two outputs have to fit
                batch=2 if alpha else 1,
                strategy=self.settings.strategy,
                tile=self.settings.tile,
                overlap=self.settings.overlap,
            )
        return self._plans[height, width, alpha]

    def replan(self, plan: Plan, now: Plan) -> None:
        """`plan` did not fit into memory and has become `now`: the next pictures start there."""
        for question, planned in self._plans.items():
            if planned == plan:
                self._plans[question] = now

    def _bits(self, picture: Picture, target: Target) -> int:
        """What was asked for, else the source's depth where the output's format has it."""
        if self.settings.bits is not None:
            return self.settings.bits
        deep = picture.metadata.bits == 16 and format_of(target.output) in DEEP
        return 16 if deep else 8

    def _compare(self, target: Target, work: _PictureWork, metadata: Metadata) -> None:
        if target.comparison is None or work.first is None:
            return
        pixels = side_by_side(*work.first, self.model.name)
        metadata = Metadata(icc_profile=metadata.icc_profile, png_color=metadata.png_color)
        save_picture(
            target.comparison,
            [from_pixels(pixels)],
            metadata,
            overwrite=self.settings.overwrite,
        )


@dataclass
class _PictureWork:
    """The frames of one picture on their way, and what is known about them afterwards."""

    upscaler: Upscaler
    picture: Picture
    bar: Bar
    keep_first: bool
    reports: list[Report] = field(default_factory=list)
    first: tuple[Pixels, Pixels] | None = None
    faces: int | None = None
    face_fallbacks: list[str] = field(default_factory=list)
    face_seconds: float = 0
    notices: list[str] = field(default_factory=list)
    _done: float = 0

    def frames(self) -> Iterator[Frame]:
        """Upscaled frames, made as they are asked for."""
        count = self.picture.frame_count
        for number, frame in enumerate(self.picture.frames()):
            if count > 1:
                self.bar.tell(f"frame {number + 1} of {count}")
            yield self._upscaled(number, frame)
            self.bar.to(number + 1)

    def _upscaled(self, number: int, frame: Frame) -> Frame:
        self._check_channels(frame)
        self._done = number
        frame = self._gated(frame)
        result = self._refined(frame, upscale_frame(frame, _Network(self, frame)))
        if self.keep_first and number == 0:
            self.first = to_pixels(over_white(frame)), to_pixels(over_white(result))
        return result

    def _gated(self, frame: Frame) -> Frame:
        """Reduced, if the user has set a limit that it exceeds."""
        limit = self.upscaler.settings.max_input_side
        reduced = gated(frame, limit)
        if reduced is not frame:
            sizes = (f.color.shape[-2:] for f in (frame, reduced))
            (height, width), (new_height, new_width) = sizes
            self.notices.append(notice((height, width), (new_height, new_width), limit))
        return reduced

    def _refined(self, frame: Frame, result: Frame) -> Frame:
        """With better faces, where they are asked for."""
        if self.upscaler.faces is None:
            return result
        self.bar.tell("faces")
        made = self.upscaler.faces.apply(frame, result)
        self.faces = (self.faces or 0) + made.count
        self.face_fallbacks += made.fallbacks
        self.face_seconds += made.seconds
        return made.frame

    def apply(self, image: Tensor, plan: Plan, share: float) -> Tensor:
        """Run the network on 1 x C x H x W; it is this `share` of the frame's work."""
        start, stop = self._done, self.upscaler.stop
        with stop.polled():
            result = upscale(
                self.upscaler.model,
                image,
                plan=plan,
                progress=lambda done, total: self.bar.to(start + share * done / total),
                should_stop=stop,
            )
        self._done += share
        self.reports.append(result.report)
        self.upscaler.replan(plan, result.report.next_plan)
        return result.image

    def _check_channels(self, frame: Frame) -> None:
        model = self.upscaler.model
        if model.config.in_channels == 1 and frame.color.shape[1] == 3:
            raise InputError(
                f"{self.picture.path} is in colour, and {model.name} takes grey pictures only; "
                "convert it to grey first, or choose another --model"
            )


class _Network:
    """What `upscale_frame` calls, once or twice per frame: 1 x 3 x H x W -> 1 x 3 x h x w."""

    def __init__(self, work: _PictureWork, frame: Frame) -> None:
        self.work = work
        self.plan = work.upscaler.plan_for(frame)
        self.grey = work.upscaler.model.config.in_channels == 1
        alpha = frame.alpha
        flat = alpha is None or bool(torch.all(alpha == alpha[0, 0, 0, 0]))
        self.share = 1.0 if flat else 0.5

    def __call__(self, image: Tensor) -> Tensor:
        if self.grey:  # three times the same, of which the network takes one
            one = self.work.apply(image[:, :1], self.plan, self.share)
            return one.expand(-1, 3, -1, -1)
        return self.work.apply(image, self.plan, self.share)
