"""A film from file to file with PyAV: pictures upscaled one by one, everything else as it was.

Sound and subtitles are copied packet by packet, each picture keeps its time. One picture is in
memory at a time, besides those that the encoder looks ahead at.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from swin2sr_core.errors import InputError
from swin2sr_core.picture_job import Callbacks, PictureJob, PictureReport
from swin2sr_core.pictures.files.notices import Notices
from swin2sr_core.pictures.files.output_file import output_file
from swin2sr_core.pictures.frame import Pixels, from_pixels, to_pixels

from .output import Bar, Console
from .stopping import StopSwitch

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""What is written, by suffix; read is whatever PyAV opens."""

_CODECS = {"webm": "libvpx-vp9"}
_QUALITY = 70
"""What x264 calls a constant rate factor of 15: nothing of what was made sharp is lost."""
_LOOK_AHEAD = 20
_HDR = (16, 18)  # PQ and HLG, of H.273


@dataclass(frozen=True)
class FilmDone:
    """A finished film."""

    source: Path
    output: Path
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    frames: int
    copied: tuple[str, ...]
    report: PictureReport
    notices: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        done = self.report.reports[0]
        return {
            "status": "ok",
            "input": str(self.source),
            "output": str(self.output),
            "input_size": list(self.input_size),
            "output_size": list(self.output_size),
            "frames": self.frames,
            "copied": list(self.copied),
            "model": done.model,
            "precision": done.precision,
            "device": done.device,
            "kernel": done.kernel,
            "strategy": self.report.strategy,
            "inference_time_ms": round(self.report.seconds * 1000, 1),
            "notices": [*self.notices, *self.report.notices],
            "fallbacks": list(self.report.fallbacks),
        }


def pyav(source: Path) -> Any:
    """The package av. Raises InputError, which tells two ways out, where it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise InputError(
            f"{source} is a film, which is read with PyAV: pip install av. Or take it apart "
            f"(`ffmpeg -i {source.name} frames/%06d.png`), upscale the folder (`swin2sr upscale "
            "frames -o large`), and put it together with its sound (`ffmpeg -framerate RATE -i "
            f"large/%06d_x4.png -i {source.name} -map 0:v -map 1:a? -c:a copy out.mp4`)"
        ) from error


@dataclass
class FilmUpscaler:
    """Upscales one film by a job. `quality` is 0..100, None: 70."""

    job: PictureJob
    console: Console
    stop: StopSwitch
    quality: int | None = None
    strip_metadata: bool = False
    report: PictureReport = field(default_factory=PictureReport)

    def run(self, source: Path, output: Path, *, overwrite: bool = False) -> FilmDone:
        """Write `output`, which appears when it is complete; a film that is stopped starts anew.

        Raises InputError for what is no film or cannot be written, and what the job raises.
        """
        av = pyav(source)
        kind = CONTAINERS.get(output.suffix.lower())
        if kind is None:
            raise InputError(
                f"a film cannot be written as {output.name}; end its name with one of "
                f"{', '.join(CONTAINERS)}"
            )
        notices = Notices(str(source))
        with ExitStack() as stack:
            reading = stack.enter_context(_opened(av, source))
            if not reading.streams.video:
                raise InputError(f"{source} has no pictures in it; give a film, or a picture")
            track = reading.streams.video[0]
            count = track.frames or None
            bar = stack.enter_context(self.console.bar(source.name, count))
            sink = stack.enter_context(output_file(output, overwrite=overwrite))
            with av.open(sink, "w", format=kind) as writing:
                if not self.strip_metadata:
                    writing.metadata.update(reading.metadata)
                work = _Work(self, reading, writing, track, kind, notices, bar)
                work.run()
            if not work.frames:
                raise InputError(
                    f"{source} has no picture that can be decoded; download or copy it again"
                )
        return FilmDone(
            source=source,
            output=output,
            input_size=work.input_size,
            output_size=work.output_size,
            frames=work.frames,
            copied=work.copied,
            report=self.report,
            notices=notices.told,
        )


@contextmanager
def _opened(av: Any, source: Path) -> Iterator[Any]:
    try:
        container = av.open(str(source))
    except (OSError, ValueError) as error:
        raise InputError(f"{source} is no film that can be read ({error})") from error
    with container:
        yield container


class _Work:
    """One film on its way, packet by packet."""

    def __init__(
        self,
        upscaler: FilmUpscaler,
        reading: Any,
        writing: Any,
        track: Any,
        kind: str,
        notices: Notices,
        bar: Bar,
    ) -> None:
        self.upscaler, self.reading, self.writing = upscaler, reading, writing
        self.track, self.kind, self.notices, self.bar = track, kind, notices, bar
        self.frames = 0
        self.input_size = self.output_size = (0, 0)
        self._encoder: Any = None
        self._last: int | None = None
        track.thread_type = "AUTO"
        self._copies = self._copied_streams()
        self.copied = tuple(stream.type for stream in self._copies)

    def run(self) -> None:
        """All packets, in the order in which they stand in the file."""
        waiting: list[Any] = []  # of other streams, until the encoder is known
        for packet in self.reading.demux([self.track, *self._copies]):
            if packet.stream is self.track:
                for frame in packet.decode():
                    self._picture(frame)
                    while waiting:
                        self._copy(waiting.pop(0))
            elif packet.dts is not None:
                waiting.append(packet)
                if self._encoder is not None:
                    self._copy(waiting.pop(0))
        if self._encoder is not None:
            self.writing.mux(self._encoder.encode(None))
            for packet in waiting:
                self._copy(packet)

    def _copied_streams(self) -> dict[Any, Any]:
        """The streams that go on as they are, each with its own in the output."""
        copies = {}
        for stream in self.reading.streams:
            if stream is self.track:
                continue
            try:
                if stream.type not in ("audio", "subtitle"):
                    raise ValueError(stream.type)
                copies[stream] = self.writing.add_stream_from_template(stream)
            except (ValueError, OSError, AttributeError):
                name = stream.type or "data"
                self.notices.tell(
                    f"has a stream of {name} that {self.kind} does not take; left out"
                )
        return copies

    def _copy(self, packet: Any) -> None:
        packet.stream = self._copies[packet.stream]
        self.writing.mux(packet)

    def _picture(self, frame: Any) -> None:
        number = self.frames
        if number:
            self.bar.tell(f"frame {number + 1}")
        pixels = self._read(frame)
        upscaler = self.upscaler
        callbacks = Callbacks(
            progress=lambda done, total: self.bar.to(number + done / total),
            should_stop=upscaler.stop,
        )
        with upscaler.stop.polled():
            result = upscaler.job.run(from_pixels(pixels), upscaler.report, callbacks)
        if self._encoder is None:
            self.input_size, self.output_size = (pixels.shape[1], pixels.shape[0]), result.size
            self._encoder = self._made_encoder(frame, *result.size)
        if result.size != self.output_size:
            raise InputError(
                f"{self.reading.name} changes its size at picture {number + 1}; cut the film there"
            )
        self.writing.mux(self._encoder.encode(self._written(to_pixels(result), frame)))
        self.frames += 1
        self.bar.to(self.frames)

    def _read(self, frame: Any) -> Pixels:
        """H W 3, upright, by the colours that the film says it has."""
        if frame.interlaced_frame:
            self.notices.tell("is interlaced; its lines are upscaled as they are")
        depth = max(component.bits for component in frame.format.components)
        if depth > 8:
            self.notices.tell(f"has {depth} bits a sample; 8 are written")
        if frame.color_trc in _HDR:
            self.notices.tell("is in HDR; it keeps its colours' meaning, in 8 bits")
        rgb = frame.reformat(format="rgb24", src_colorspace=frame.colorspace).to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90) % 4))

    def _written(self, pixels: Pixels, like: Any) -> Any:
        """The picture as the encoder wants it, at the time of the one it was made of."""
        av = pyav(Path(self.reading.name))
        encoder = self._encoder
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[..., :3]), format="rgb24")
        frame = frame.reformat(format=encoder.pix_fmt, dst_colorspace=like.colorspace)
        frame.colorspace, frame.color_range = like.colorspace, like.color_range
        frame.time_base = like.time_base
        # times that are missing or stand still, which players forgive and encoders do not
        last = self._last
        frame.pts = like.pts if like.pts is not None and (last is None or like.pts > last) else None
        if frame.pts is None:
            step = 1 / (self.track.average_rate or Fraction(25)) / like.time_base
            frame.pts = 0 if last is None else last + max(1, round(step))
        self._last = frame.pts
        return frame

    def _made_encoder(self, frame: Any, width: int, height: int) -> Any:
        """A stream of the same rate, time base, colours and shape of pixels."""
        codec = _CODECS.get(self.kind, "libx264")
        quality = _QUALITY if self.upscaler.quality is None else self.upscaler.quality
        rate = round((100 - quality) / 2)
        options = {"crf": str(rate)}
        if codec == "libx264":
            options["x264-params"] = f"rc-lookahead={_LOOK_AHEAD}"
        stream = self.writing.add_stream(codec, rate=self.track.average_rate or 25, options=options)
        stream.width, stream.height = width, height
        full = "444" in frame.format.name or width % 2 or height % 2
        stream.pix_fmt = "yuv444p" if full else "yuv420p"
        stream.time_base = self.track.time_base
        context = stream.codec_context
        context.time_base = self.track.time_base
        context.sample_aspect_ratio = self.track.codec_context.sample_aspect_ratio or Fraction(1)
        for name in ("color_range", "color_primaries", "color_trc", "colorspace"):
            setattr(context, name, getattr(self.track.codec_context, name))
        return stream
