"""swin2sr plan: how a picture would be upscaled, and what memory that takes; nothing is run."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import (
    Commands,
    Parser,
    add_command,
    add_json,
    add_running,
    check_engine,
    choose_kernels,
    parse_size,
    picture_settings,
    unused_options,
)
from .output import Console, Outcome
from .stopping import StopSwitch

if TYPE_CHECKING:
    from swin2sr_core.planning.plan import Plan

    from .prospects import Found

_EXAMPLES = """\
  swin2sr plan 1920x1080                      1920 pixels wide, 1080 high
  swin2sr plan photo.jpg --max-memory 500MB   what 500 MB would mean
  swin2sr plan 8000x8000 --model classical-x4 --precision fp32

whole: no tiles, all on the device; staged: no tiles, feature maps offloaded to RAM,
a region at a time on the device; both give the whole network's result. tiled: tiles
that are blended, near it. A band is a group of windows: what is computed at once."""


_TIME_UNKNOWN = "time: not known before a picture has been upscaled here with this model"


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands, "plan", run, "show how a picture would be upscaled, and its memory", _EXAMPLES
    )
    parser.add_argument(
        "input", metavar="WIDTHxHEIGHT|IN", help="a size in pixels, width first, or a picture"
    )
    add_running(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Make the plan that `upscale` would run, now, with the same options."""
    from swin2sr_core.pictures import open_picture
    from swin2sr_core.pictures.files.formats import KEPT_BYTES, format_of
    from swin2sr_core.planning.picture_plan import plan_picture
    from swin2sr_core.units import format_seconds

    from .candidate_table import candidate_rows, candidate_table, reason
    from .prospects import prospect_for
    from .targets import written_suffix

    choose_kernels(args)
    check_engine(args)
    found = prospect_for(args.model, args.precision, args.device)
    size, channels, frames = parse_size(args.input), found.prospect.config.in_channels, 1
    suffix = ".png"
    if size is None:
        with open_picture(Path(args.input).expanduser()) as picture:
            size, channels, frames = picture.size, picture.channels, picture.frame_count
            suffix = written_suffix(picture.path)
    width, height = size
    settings = picture_settings(args, found.prospect.config.scale)
    if frames == 1:
        kept = KEPT_BYTES[format_of(Path(f"a{suffix}"))]
        settings = replace(settings, streamed=kept)
    picture = plan_picture(found.prospect, height, width, settings, found.room, channels=channels)
    plan = picture.plan
    seconds = _seconds(found, plan, frames)
    unsaid = unused_options(args)
    for notice in (*picture.notices, *unsaid):
        console.show(notice)
    name, reason_for = _kernel(found, plan)
    blocks = f"blocks by {name}" + (f": {reason_for}" if reason_for else "")
    time = _TIME_UNKNOWN if seconds is None else f"about {format_seconds(seconds)} here"
    console.show(f"{plan}\n\n{candidate_table(plan)}\n{blocks}\n{time}")
    document: dict[str, object] = {
        "status": "ok",
        "input_size": [picture.input_width, picture.input_height],
        "model": found.name,
        "device": found.device,
        "kernel": name,
        "kernel_reason": reason_for,
        "budget_bytes": plan.budget_bytes,
        "seconds": None if seconds is None else round(seconds, 2),
        "notices": [*picture.notices, *unsaid],
        "plan": plan.to_dict(),
        "candidates": candidate_rows(plan),
        "reason": reason(plan),
    }
    return Outcome(0, document)


def _kernel(found: Found, plan: Plan) -> tuple[str, str]:
    """What runs the blocks, and why not a fused kernel."""
    from swin2sr_core.kernels.setting import candidate

    if found.prospect.exported:
        return "onnxruntime", "the model is an exported file"
    kernel = candidate(found.device.partition(":")[0], plan.precision)
    return kernel.name, kernel.reason


def _seconds(found: Found, plan: Plan, frames: int) -> float | None:
    """By earlier runs of `upscale` on this machine."""
    from .estimates import Kind, seconds_for

    config, device = found.prospect.config, found.device_kind
    kind = Kind.of(device, found.prospect.precision, config, plan.way)
    return seconds_for(kind, plan.work * frames)
