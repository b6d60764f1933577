"""swin2sr report: what a bug report should say, without private words."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from swin2sr_core.errors import InputError, Swin2SRError

from .arguments import (
    Commands,
    Parser,
    add_command,
    add_json,
    add_running,
    check_engine,
    parse_size,
    picture_settings,
)
from .doctor import add_comfyui
from .output import Console, Outcome
from .stopping import StopSwitch

if TYPE_CHECKING:
    from ..diagnosis.examination import Examination

_EXAMPLES = """\
  swin2sr report                            copy what it prints into the bug report
  swin2sr report 1920x1080 --model classical-x4
  swin2sr report --json > report.json"""


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "report",
        run,
        "print what a bug report needs: versions, devices, a plan, the last error",
        _EXAMPLES,
    )
    parser.add_argument(
        "size",
        nargs="?",
        default="1024x1024",
        metavar="WIDTHxHEIGHT",
        help="size of the picture to plan for, width first (default: 1024x1024)",
    )
    add_running(parser)
    add_comfyui(parser)
    add_json(parser)


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Nothing private is in it: no paths, no names of files or users, no keys."""
    from ..diagnosis.examination import examine
    from ..diagnosis.last_error import last_error

    size = parse_size(args.size)
    if size is None:
        raise InputError(f"a report plans for a size, as 1920x1080, got {args.size!r}")
    found = examine(args.comfyui)
    plan = _plan(args, size)
    document = _facts(found) | {"planned": plan, "last_error": last_error()}
    console.show(_as_markdown(found, plan, document))
    return Outcome(0, {"status": "ok"} | document)


def _plan(args: argparse.Namespace, size: tuple[int, int]) -> dict[str, object]:
    """The plan, or the sentence that says why there is none: that belongs into a report, too."""
    from swin2sr_core.pictures.files.formats import KEPT_BYTES
    from swin2sr_core.planning.picture_plan import plan_picture

    from ..diagnosis.privacy import scrubbed
    from .prospects import prospect_for

    width, height = size
    asked: dict[str, object] = {"size": [width, height], "model": scrubbed(args.model)}
    try:
        check_engine(args)
        found = prospect_for(args.model, args.precision, args.device)
        settings = picture_settings(args, found.prospect.config.scale)
        settings = replace(settings, streamed=KEPT_BYTES["PNG"])
        plan = plan_picture(found.prospect, height, width, settings, found.room).plan
    except Swin2SRError as error:
        return asked | {"error": scrubbed(str(error), [args.model])}
    return asked | {"device": found.device, "text": str(plan), "plan": plan.to_dict()}


def _facts(found: Examination) -> dict[str, object]:
    """What `doctor` tells, without its paths."""
    from ..diagnosis.privacy import scrubbed
    from .doctor import facts

    everything = facts(found)
    del everything["models_folder"]
    return everything | {
        "models": [row.entry.name for row in found.models if row.path],
        "comfyui": [{"version": each.version, "copies": each.copies} for each in found.comfyui],
        "extras": {name: v for each in found.extras for name, v in each.here.items()},
        "broken": [scrubbed(sentence) for sentence in found.broken],
    }


def _as_markdown(found: Examination, plan: dict[str, object], document: dict[str, object]) -> str:
    from .doctor import sections

    versions, devices, kernels, memory = sections(found)[:4]
    extras = document["extras"]
    assert isinstance(extras, dict)
    libraries = "  ".join(f"{name} {version}" for name, version in extras.items()) or "no extras"
    comfyui = ", ".join(each.version or "unknown" for each in found.comfyui) or "none found"
    models = ", ".join(row.entry.name for row in found.models if row.path)
    parts = [
        f"{versions}\n{libraries}\nComfyUI: {comfyui}\nmodels here: {models}",
        devices,
        kernels,
        memory,
        f"plan for {plan['model']}:\n{plan.get('text') or plan.get('error')}",
        _last_error(document["last_error"]),
    ]
    broken = document["broken"]
    assert isinstance(broken, list)
    parts += [f"broken: {sentence}" for sentence in broken]
    return "```text\n" + "\n\n".join(parts) + "\n```"


def _last_error(known: object) -> str:
    if not isinstance(known, dict):
        return "no error is remembered"
    where = "".join(f"\n  {frame}" for frame in known.get("where", ()))
    heading = f"last error, {known.get('when')}, version {known.get('version')}"
    told = f"swin2sr {known.get('command')}\n{known.get('kind')}: {known.get('error')}"
    return f"{heading}:\n{told}{where}"
