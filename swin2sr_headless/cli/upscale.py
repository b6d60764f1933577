"""swin2sr upscale: pictures in, larger pictures out."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from swin2sr_core.errors import Interrupted
from swin2sr_core.pictures.input_paths import expand_inputs

from ..failures import INTERRUPTED, Failure
from .arguments import (
    Commands,
    Parser,
    add_command,
    add_json,
    add_running,
    choose_kernels,
    picture_settings,
    sharpening,
    whole_number,
)
from .failures import report
from .output import Console, Outcome
from .stopping import StopSwitch

if TYPE_CHECKING:
    from swin2sr_core.faces.step import FaceStep
    from swin2sr_core.planning.picture_plan import PictureSettings

    from .files import Done, FileUpscaler
    from .targets import Target

MAX_PIXELS = 100_000_000
_EXAMPLES = """\
  swin2sr upscale photo.jpg                      writes photo_x4.jpg beside it
  swin2sr upscale photo.jpg -o large.png         another name and format
  swin2sr upscale holiday/ -o large/             all pictures of a folder
  swin2sr upscale scan.tif --max-memory 1GB      any size, in a gigabyte
  swin2sr upscale old.png --model realworld-x4   for blurred or noisy photographs
  swin2sr upscale group.jpg --faces              and the faces with a better model"""


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(commands, "upscale", run, "enlarge pictures", _EXAMPLES)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="pictures (PNG, JPEG, WebP, TIFF, BMP, GIF; animations too), folders, or patterns",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="a file, whose suffix chooses the format, or a folder (default: beside the input, "
        "with _x4 in the name)",
    )
    add_running(parser)
    parser.add_argument(
        "--sharpen",
        type=sharpening,
        default=0.0,
        metavar="N",
        help="sharpen the result without halos, 0 to 0.5; 0.2 suits line art (default: 0, off)",
    )
    _add_faces(parser)
    _add_writing(parser)
    parser.add_argument(
        "--max-pixels",
        type=whole_number(1, 10**12),
        default=MAX_PIXELS,
        metavar="N",
        help=f"refuse inputs with more pixels than this (default: {MAX_PIXELS:,})",
    )
    parser.add_argument(
        "--progress",
        action="store_true",
        help="show the progress bar even where standard error is no terminal",
    )
    add_json(parser)


def _add_faces(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--faces",
        action="store_true",
        help="find the faces, compute them again with --face-model, and blend them in; needs "
        "`pip install swin2sr[faces]` and `swin2sr models download yunet`",
    )
    parser.add_argument(
        "--face-model",
        metavar="NAME|PATH",
        help="the better model for the faces; implies --faces (default: lightweight-x2). The same "
        "as --model changes nothing",
    )


def _add_writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overwrite", action="store_true", help="replace outputs that exist (default: refuse)"
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="also write OUT_compare.png: bicubic enlargement left, the result right",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=(8, 16),
        help="bits per sample; 16 for PNG and TIFF only (default: as in the input)",
    )
    parser.add_argument(
        "--quality",
        type=whole_number(0, 100),
        metavar="N",
        help="0 to 100 for JPEG (default: 95) and WebP (default: lossless)",
    )


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Upscale everything that `args.inputs` means."""
    choose_kernels(args)
    sources = expand_inputs(args.inputs)
    many = len(sources) > 1 or not Path(args.inputs[0]).expanduser().is_file()
    upscaler, targets = _prepared(args, sources, many, console, stop)
    batch = _Batch(upscaler, targets, console)
    batch.run()
    return batch.outcome(many)


def _prepared(
    args: argparse.Namespace,
    sources: Sequence[Path],
    many: bool,
    console: Console,
    stop: StopSwitch,
) -> tuple[FileUpscaler, list[Target]]:
    """The loaded model with its settings, and what to do with it."""
    from swin2sr_core.models.model import load_model
    from swin2sr_core.picture_job import PictureJob

    from .files import FileUpscaler, Writing
    from .targets import plan_targets

    model = load_model(args.model, args.precision, args.device)
    settings = picture_settings(args, model.scale)
    targets = plan_targets(
        sources,
        args.output,
        _label(settings),
        into_folder=many,
        compare=args.compare,
        overwrite=args.overwrite,
    )
    writing = Writing(args.bits, args.quality, args.overwrite, args.max_pixels)
    job = PictureJob(model, settings, faces=_face_step(args))
    return FileUpscaler(job, writing, console, stop), targets


def _label(settings: PictureSettings) -> str:
    """What is put behind a picture's name."""
    if settings.longest_side:
        return f"_{settings.longest_side}px"
    return f"_x{settings.scale:g}"


def _face_step(args: argparse.Namespace) -> FaceStep | None:
    """What --faces and --face-model ask for; None where they are not given.

    Raises ModelNotFoundError where the detector or the model is not here, and says how to get it.
    """
    if not args.faces and args.face_model is None:
        return None
    from swin2sr_core.faces import load_detector
    from swin2sr_core.faces.step import FACE_MODEL, FaceStep
    from swin2sr_core.models.model import load_model

    detector = load_detector()
    model = load_model(args.face_model or FACE_MODEL, args.precision, args.device)
    return FaceStep(detector, model, args.max_memory)


@dataclass
class _Batch:
    """One picture after the other: what fails is reported, and the others go on."""

    upscaler: FileUpscaler
    targets: list[Target]
    console: Console
    documents: list[dict[str, object]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0

    def run(self) -> None:
        """All of them, until there are no more or the user has enough."""
        started = time.perf_counter()
        for number, target in enumerate(self.targets, 1):
            name = target.source.name
            label = name if len(self.targets) == 1 else f"[{number}/{len(self.targets)}] {name}"
            try:
                done = self.upscaler.run(target, label)
            except (Exception, KeyboardInterrupt) as error:
                self._failed(target, error)
                if isinstance(error, (Interrupted, KeyboardInterrupt)):
                    break
            else:
                self.documents.append(done.to_dict())
                self.console.show(_summary(done))
        self.seconds = time.perf_counter() - started
        if len(self.targets) > 1:
            self._tell_totals()

    def outcome(self, many: bool) -> Outcome:
        """The exit code: a lone picture's own, or 1 if any of several failed."""
        codes = {failure.exit_code for failure in self.failures}
        code = 0
        if codes:
            code = INTERRUPTED if INTERRUPTED in codes else 1
            code = self.failures[0].exit_code if len(self.targets) == 1 else code
        if not many:
            return Outcome(code, self.documents[0] | ({"exit_code": code} if code else {}))
        status = "error" if code else "ok"
        document: dict[str, object] = {"status": status}
        if self.failures:
            document["error"] = self.failures[-1].sentence if code == INTERRUPTED else self._totals
        return Outcome(code, document | {"exit_code": code, "results": self.documents})

    def _failed(self, target: Target, error: BaseException) -> None:
        failure = report(error, self.console, about=str(target.source))
        self.failures.append(failure)
        names: dict[str, object] = {"input": str(target.source), "output": None}
        self.documents.append(failure.to_dict() | names)

    @property
    def _totals(self) -> str:
        done = len(self.documents) - len(self.failures)
        left = len(self.targets) - len(self.documents)
        parts = [f"{done} of {len(self.targets)} pictures done"]
        parts += [f"{len(self.failures)} failed"] if self.failures else []
        parts += [f"{left} not begun"] if left else []
        return ", ".join(parts)

    def _tell_totals(self) -> None:
        line = f"{self._totals}, {self.seconds:.1f} s"
        # with failures among many lines, the reader of the errors wants to see it, too
        if self.failures:
            self.console.note(line)
        else:
            self.console.show(line)


def _summary(done: Done) -> str:
    from swin2sr_core.units import format_bytes

    (width, height), plan = done.input_size, done.plan
    frames = f", {done.frames} frames" if done.frames > 1 else ""
    faces = "" if done.done.faces is None else f", faces refined: {done.done.faces}"
    peak = ""
    if done.peak_bytes is not None:
        peak = f", peak memory {format_bytes(done.peak_bytes)} ({done.peak_of})"
    told = (*done.done.notices, *plan.plan.notes, *done.done.fallbacks)
    fallbacks = "".join(f"; {each}" for each in told)
    return (
        f"{done.target.output}: {width}x{height} -> {plan.width}x{plan.height}{frames}, "
        f"{done.report.model}, {done.report.device}, {done.report.precision}, "
        f"{done.done.strategy}, {done.done.seconds:.2f} s{faces}{peak}{fallbacks}"
    )
