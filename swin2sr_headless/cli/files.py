"""One picture from file to file: the job's model loaded once, frames one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from swin2sr_core.engine.upscale import Report
from swin2sr_core.errors import InputError
from swin2sr_core.picture_job import Callbacks, PictureJob, PictureReport
from swin2sr_core.pictures import Picture, open_picture
from swin2sr_core.pictures.files.encoders import save_picture
from swin2sr_core.pictures.files.formats import DEEP, PAGED, format_of
from swin2sr_core.pictures.files.metadata import Metadata
from swin2sr_core.pictures.frame import Frame, Pixels, Strips, from_pixels, over_white, to_pixels
from swin2sr_core.pictures.input_gate import gated
from swin2sr_core.pictures.limits import MAX_FRAMES
from swin2sr_core.planning.picture_plan import PicturePlan

from .comparison import side_by_side
from .output import Bar, Console
from .process_memory import peak_process_bytes
from .stopping import StopSwitch
from .targets import Target, folder_of


@dataclass(frozen=True)
class Writing:
    """How the user wants files to be written and read. None: the depth that suits."""

    bits: int | None
    quality: int | None
    overwrite: bool
    max_pixels: int
    max_frames: int = MAX_FRAMES
    strip_metadata: bool = False
    first_only: bool = False


def opened(target: Target, writing: Writing) -> AbstractContextManager[Picture]:
    """The target's picture, with the user's limits; all pages, where the output can hold them."""
    return open_picture(
        target.source,
        writing.max_pixels,
        max_frames=writing.max_frames,
        pages=format_of(target.output) in PAGED,
        first_only=writing.first_only,
    )


@dataclass(frozen=True)
class Done:
    """A finished picture. `peak_of` tells whose `peak_bytes` are: "device" or "process".

    told: what reading and writing had to say, which is shown when it happens.
    """

    target: Target
    input_size: tuple[int, int]
    frames: int
    done: PictureReport
    peak_bytes: int | None
    peak_of: str
    told: tuple[str, ...] = ()

    @property
    def report(self) -> Report:
        """Of the first call of the network."""
        return self.done.reports[0]

    @property
    def plan(self) -> PicturePlan:
        assert self.done.plan is not None
        return self.done.plan

    def to_dict(self) -> dict[str, object]:
        peak, comparison, plan = self.peak_bytes, self.target.comparison, self.plan
        faces = self.done.faces
        return {
            "status": "ok",
            "input": str(self.target.source),
            "output": str(self.target.output),
            "comparison": None if comparison is None else str(comparison),
            "input_size": list(self.input_size),
            "output_size": [plan.width, plan.height],
            "frames": self.frames,
            "model": self.report.model,
            "precision": self.report.precision,
            "device": self.report.device,
            "kernel": self.report.kernel,
            "strategy": self.done.strategy,
            "inference_time_ms": round(self.done.seconds * 1000, 1),
            "peak_memory_gb": None if peak is None else round(peak / 2**30, 4),
            "peak_memory_of": self.peak_of,
            "forecast_bytes": plan.plan.total_bytes,
            "measured_bytes": self.done.peak_bytes,
            "notices": [*self.told, *self.done.notices],
            "fallbacks": list(self.done.fallbacks),
            "plan": plan.plan.to_dict(),
            **({} if faces is None else {"faces": faces}),
        }


@dataclass(frozen=True)
class FileUpscaler:
    """Upscales picture files by one job; `turn` is as in `Callbacks`."""

    job: PictureJob
    writing: Writing
    console: Console
    stop: StopSwitch
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)

    def run(self, target: Target, label: str) -> Done:
        """Write the target's files; `label` names the picture beside its progress bar.

        Raises a Swin2SRError; what was begun has vanished then.
        """
        with (
            opened(target, self.writing) as picture,
            self.console.bar(label, picture.frame_count) as bar,
            folder_of(target.output),
        ):
            work = _FileWork(self, picture, bar, keep_first=target.comparison is not None)
            metadata = picture.metadata
            told = save_picture(
                target.output,
                work.frames(),
                metadata.stripped() if self.writing.strip_metadata else metadata,
                bits=output_bits(self.writing.bits, picture, target.output),
                quality=self.writing.quality,
                overwrite=self.writing.overwrite or target.may_replace,
            )
            self._compare(target, work, metadata)
            told = (*picture.notices, *told)
        peak = work.report.peak_bytes
        of_process = self.job.model.device.type == "cpu" or peak is None
        return Done(
            target=target,
            input_size=picture.size,
            frames=picture.frame_count,
            done=work.report,
            peak_bytes=peak_process_bytes() if of_process else peak,
            peak_of="process" if of_process else "device",
            told=told,
        )

    def _compare(self, target: Target, work: _FileWork, metadata: Metadata) -> None:
        if target.comparison is None or work.first is None:
            return
        pixels = side_by_side(*work.first, self.job.model.name)
        metadata = Metadata(icc_profile=metadata.icc_profile, png_color=metadata.png_color)
        save_picture(
            target.comparison,
            [from_pixels(pixels)],
            metadata,
            overwrite=self.writing.overwrite or target.may_replace,
        )


def output_bits(asked: int | None, picture: Picture, output: Path) -> int:
    """What was asked for, else the source's depth where the output's format has it."""
    if asked is not None:
        return asked
    deep = picture.metadata.bits == 16 and format_of(output) in DEEP
    return 16 if deep else 8


@dataclass
class _FileWork:
    """The frames of one picture on their way, and what is known about them afterwards."""

    upscaler: FileUpscaler
    picture: Picture
    bar: Bar
    keep_first: bool
    report: PictureReport = field(default_factory=PictureReport)
    first: tuple[Pixels, Pixels] | None = None

    def frames(self) -> Iterator[Frame | Strips]:
        """Upscaled frames, made as they are asked for."""
        count = self.picture.frame_count
        for number, frame in enumerate(self.picture.frames()):
            if count > 1:
                self.bar.tell(f"frame {number + 1} of {count}")
            yield self._upscaled(number, frame)
            self.bar.to(number + 1)

    def _upscaled(self, number: int, frame: Frame) -> Frame | Strips:
        self._check_channels(frame)
        stop, job = self.upscaler.stop, self.upscaler.job
        callbacks = Callbacks(
            progress=lambda done, total: self.bar.to(number + done / total),
            should_stop=stop,
            on_faces=lambda: self.bar.tell("faces"),
            turn=self.upscaler.turn,
        )
        animated = self.picture.frame_count > 1 and not self.picture.paged
        if not animated and not self.keep_first:
            strips = job.strips(frame, self.report, callbacks)
            if strips is not None:
                return replace(strips, made=_polled(strips.made, stop))
        with stop.polled():
            result = job.run(frame, self.report, callbacks)
        if self.keep_first and number == 0:
            before = gated(frame, job.settings.max_input_side)
            self.first = to_pixels(over_white(before)), to_pixels(over_white(result))
        return result

    def _check_channels(self, frame: Frame) -> None:
        model = self.upscaler.job.model
        if model.config.in_channels == 1 and frame.color.shape[1] == 3:
            raise InputError(
                f"{self.picture.path} is in colour, and {model.name} takes grey pictures only; "
                "convert it to grey first, or choose another --model"
            )


def _polled(bands: Iterator[Frame], stop: StopSwitch) -> Iterator[Frame]:
    """The bands, with the work behind them listening to signals."""
    with stop.polled():
        yield from bands
