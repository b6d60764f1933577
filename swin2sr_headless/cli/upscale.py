"""swin2sr upscale: pictures in, larger pictures out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swin2sr_core.errors import InputError
from swin2sr_core.pictures.input_paths import InputPicture, Inputs, find_inputs, is_film

from .arguments import (
    Commands,
    Parser,
    add_command,
    check_engine,
    choose_kernels,
    picture_settings,
    unused_options,
)
from .output import Console, Outcome
from .stopping import StopSwitch
from .upscale_options import EXAMPLES, MAX_PIXELS, add_options

if TYPE_CHECKING:
    from swin2sr_core.planning.picture_plan import PictureSettings

    from .files import FileUpscaler
    from .one_by_one import Course
    from .records import Records
    from .targets import Target

__all__ = ["MAX_PIXELS", "register", "run"]

_LISTED = 8
"""Names of files that are left out; the others are counted."""


@dataclass
class _Selection:
    """What is to be upscaled where to, and what was left out on the way there."""

    targets: list[Target]
    many: bool
    notices: list[str]


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    add_options(add_command(commands, "upscale", run, "enlarge pictures", EXAMPLES))


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Upscale everything that `args.inputs` means."""
    from .streams import from_stdin, reads_stdin, to_stdout, writes_stdout

    choose_kernels(args)
    check_engine(args)
    if args.overwrite and args.skip_existing:
        raise InputError("--overwrite and --skip-existing contradict each other; leave one out")
    with ExitStack() as stack:
        piped = reads_stdin(args.inputs)
        to_stream = writes_stdout(args.inputs, args.output, console.json)
        if piped:
            args.inputs = [str(stack.enter_context(from_stdin()))]
        inputs = find_inputs(args.inputs, args.recursive)
        if to_stream:
            first, *others = inputs.pictures
            if others:
                raise InputError("standard output (-) takes one picture; name a folder with -o")
            console.quiet_output = True
            from .targets import written_suffix

            suffix = args.format or written_suffix(first.path)
            args.output = str(stack.enter_context(to_stdout(suffix)))
        return _upscaled(args, inputs, console, stop, remember=not (piped or to_stream))


def _upscaled(
    args: argparse.Namespace, inputs: Inputs, console: Console, stop: StopSwitch, remember: bool
) -> Outcome:
    from .compressed import better_model
    from .one_by_one import Batch
    from .records import Records

    if any(is_film(picture.path) for picture in inputs.pictures):
        return _film(args, inputs.pictures, console, stop)
    _check_readable(inputs.pictures)
    records = Records(remember)
    settings = settings_of(args)
    selection = _selected(args, inputs, records, settings)
    sources = [target.source for target in selection.targets]
    unused = [*unused_options(args), *_unused_quality(args, selection.targets)]
    told = [*selection.notices, *unused, *better_model(args.model, sources)]
    for notice in told:
        console.note(f"swin2sr: {notice}")
    upscaler, course = _prepared(args, selection, settings, console, stop)
    batch = Batch(upscaler, selection.targets, console, records, course)
    batch.notices += told
    batch.run()
    return batch.outcome()


def _film(
    args: argparse.Namespace, inputs: Sequence[InputPicture], console: Console, stop: StopSwitch
) -> Outcome:
    """One film, alone."""
    from swin2sr_core.models.model import load_model
    from swin2sr_core.picture_job import PictureJob

    from .film import CONTAINERS, FilmUpscaler, pyav
    from .preparation import face_step
    from .targets import folder_of

    source, *others = (picture.path for picture in inputs)
    if others:
        raise InputError(f"films are upscaled one by one; name {source} alone")
    if args.skip_existing or args.compare:
        raise InputError("--skip-existing and --compare are for pictures; a film starts anew")
    pyav(source)
    if not source.is_file():
        raise InputError(f"there is no file {source}; check the name")
    settings = settings_of(args)
    label = label_of(settings) if args.suffix is None else args.suffix
    suffix = source.suffix if source.suffix.lower() in CONTAINERS else ".mp4"
    output = source.with_name(f"{source.stem}{label}{suffix}")
    if args.output is not None:
        named = Path(args.output).expanduser()
        output = named / output.name if named.is_dir() or not named.suffix else named
    faces = face_step(args)
    model = load_model(args.model, args.precision, args.device, args.provider)
    job = PictureJob(model, settings, faces=faces)
    film = FilmUpscaler(job, console, stop, args.quality, args.strip_metadata)
    with folder_of(output):
        done = film.run(source, output, overwrite=args.overwrite)
    (width, height), kept = done.output_size, ", ".join(done.copied) or "no sound"
    console.show(f"{output}: {done.frames} pictures of {width}x{height}, {kept}")
    return Outcome(0, done.to_dict())


def settings_of(args: argparse.Namespace) -> PictureSettings:
    """By the header of the model's file: nothing is loaded yet."""
    from swin2sr_core.errors import CheckpointError
    from swin2sr_core.models.catalog import resolve_model
    from swin2sr_core.models.header import read_config

    path = resolve_model(args.model)
    try:
        config = read_config(path)
    except CheckpointError:
        from swin2sr_core.models.checkpoint import load_checkpoint

        config, _ = load_checkpoint(path)  # which knows better what is wrong
    return picture_settings(args, config.scale)


def _selected(
    args: argparse.Namespace, inputs: Inputs, records: Records, settings: PictureSettings
) -> _Selection:
    """Which pictures go where; everything about names is checked."""
    from .own_outputs import without_outputs
    from .survey import check_places
    from .targets import (
        Naming,
        check_absent,
        check_distinct,
        check_not_inputs,
        proposed_targets,
    )

    first, *others = inputs.pictures
    many = bool(others) or not first.named
    label = label_of(settings) if args.suffix is None else args.suffix

    def proposed(pictures: Sequence[InputPicture]) -> list[Target]:
        below = [picture.below for picture in pictures]
        naming = Naming(args.output, label, many, args.format, below)
        return proposed_targets([picture.path for picture in pictures], naming, args.compare)

    before = proposed(inputs.pictures)
    out = args.output if many else None
    pictures, own = without_outputs(inputs.pictures, before, records, label, out)
    if not pictures:
        raise InputError(
            f"all {len(own)} pictures are outputs of this command ({_listed(own)}); to enlarge one "
            "of them again, name it alone"
        )
    targets = proposed(pictures)
    check_distinct(targets)
    if args.suffix is not None or many:
        check_not_inputs(targets)
    if not (args.overwrite or args.skip_existing):
        check_absent([file for target in targets for file in target.files])
    check_places([file for target in targets for file in target.files])
    return _Selection(targets, many, _left_out(inputs, own))


def _prepared(
    args: argparse.Namespace,
    selection: _Selection,
    settings: PictureSettings,
    console: Console,
    stop: StopSwitch,
) -> tuple[FileUpscaler, Course]:
    """The loaded model with its settings, and how the batch is gone through."""
    from swin2sr_core.models.model import load_model

    from .files import FileUpscaler
    from .one_by_one import Course
    from .preparation import face_model, face_step, job_for, writing_of
    from .resuming import way_of

    faces = face_step(args)
    model = load_model(args.model, args.precision, args.device, args.provider)
    job = job_for(args, settings, model, faces, [target.output for target in selection.targets])
    models = [args.model] if faces is None else [args.model, face_model(args)]
    how = way_of(
        models,
        model.precision,
        job.settings,
        [args.bits, args.quality, args.compare, args.strip_metadata],
    )
    return FileUpscaler(job, writing_of(args), console, stop), Course(
        how, selection.many, args.skip_existing
    )


def label_of(settings: PictureSettings) -> str:
    """What is put behind a picture's name."""
    if settings.longest_side:
        return f"_{settings.longest_side}px"
    if settings.megapixels:
        return f"_{settings.megapixels:g}MP"
    return f"_x{settings.scale:g}"


def _check_readable(pictures: Sequence[InputPicture]) -> None:
    """Raises InputError for what is no picture and can be told so by its name or kind."""
    for picture in pictures:
        path = picture.path
        if not path.is_file():
            raise InputError(f"{path} is no file; give a picture on standard input with -")


def _unused_quality(args: argparse.Namespace, targets: Sequence[Target]) -> list[str]:
    from swin2sr_core.pictures.files.formats import LOSSY, format_of

    kinds = sorted({format_of(target.output) for target in targets} - LOSSY)
    if args.quality is None or not kinds:
        return []
    return [f"--quality has no effect on {' and '.join(kinds)}"]


def _left_out(inputs: Inputs, own: Sequence[Path]) -> list[str]:
    """What was found and is not taken, each kind in a sentence."""
    notices = []
    if own:
        notices.append(f"left out, as outputs of this command: {_listed(own)}")
    if inputs.left_out:
        notices.append(f"left out, not a format that is read: {_listed(inputs.left_out)}")
    if inputs.folders:
        notices.append(f"left out, folders with pictures: {_listed(inputs.folders)} (--recursive)")
    return notices


def _listed(paths: Sequence[Path]) -> str:
    names = ", ".join(str(path) for path in paths[:_LISTED])
    more = len(paths) - _LISTED
    return f"{names} and {more} more" if more > 0 else names
