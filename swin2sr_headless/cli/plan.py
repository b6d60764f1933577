"""swin2sr plan: how a picture would be upscaled, and what memory that takes; nothing is run."""

from __future__ import annotations

import argparse

from .arguments import (
    Commands,
    Parser,
    add_command,
    add_json,
    add_running,
    choose_kernels,
    parse_size,
    picture_settings,
)
from .output import Console, Outcome
from .stopping import StopSwitch

_EXAMPLES = """\
  swin2sr plan 1080x1920                      1920 pixels wide, 1080 high
  swin2sr plan photo.jpg --max-memory 500MB   what 500 MB would mean
  swin2sr plan 8000x8000 --model classical-x4 --precision fp32"""


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands, "plan", run, "show how a picture would be upscaled, and its memory", _EXAMPLES
    )
    parser.add_argument(
        "input", metavar="HEIGHTxWIDTH|IN", help="a size in pixels, height first, or a picture"
    )
    add_running(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Make the plan that `upscale` would run, now, with the same options."""
    from swin2sr_core.kernels.setting import candidate
    from swin2sr_core.pictures import open_picture
    from swin2sr_core.planning.picture_plan import plan_picture

    from .candidate_table import candidate_rows, candidate_table, reason
    from .prospects import prospect_for

    choose_kernels(args)
    found = prospect_for(args.model, args.precision, args.device)
    size, channels = parse_size(args.input), found.prospect.config.in_channels
    if size is None:
        with open_picture(args.input) as picture:
            size, channels = (picture.size[1], picture.size[0]), picture.channels
    settings = picture_settings(args, found.prospect.config.scale)
    picture = plan_picture(found.prospect, *size, settings, found.room, channels=channels)
    plan = picture.plan
    for notice in picture.notices:
        console.show(notice)
    kernel = candidate(found.device.partition(":")[0], plan.precision)
    blocks = f"blocks by {kernel.name}" + (f": {kernel.reason}" if kernel.reason else "")
    console.show(f"{plan}\n  {blocks}\n\n{candidate_table(plan)}")
    document: dict[str, object] = {
        "status": "ok",
        "input_size": [picture.input_width, picture.input_height],
        "model": found.name,
        "device": found.device,
        "kernel": kernel.name,
        "kernel_reason": kernel.reason,
        "budget_bytes": plan.budget_bytes,
        "plan": plan.to_dict(),
        "candidates": candidate_rows(plan),
        "reason": reason(plan),
    }
    return Outcome(0, document)
