"""swin2sr doctor: what this machine has, and what is missing for what."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, Parser, add_command, add_json
from .output import Console, Outcome, table
from .stopping import StopSwitch

if TYPE_CHECKING:
    from swin2sr_core.models.catalog import ModelRow

    from ..diagnosis.devices import DeviceFinding
    from ..diagnosis.examination import Examination

_EXAMPLES = """\
  swin2sr doctor
  swin2sr doctor --comfyui ~/ComfyUI    look at that checkout, too
  swin2sr doctor --json"""


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands,
        "doctor",
        run,
        "show what this machine has, what is missing for what, and what is broken",
        _EXAMPLES,
    )
    add_comfyui(parser)
    add_json(parser)


def add_comfyui(parser: Parser) -> None:
    parser.add_argument(
        "--comfyui",
        type=Path,
        metavar="DIR",
        help="a checkout of ComfyUI to look at (default: the one around this pack or the working "
        "folder, what COMFYUI_DIR names, and the usual places)",
    )


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Exit code 1 where something that should work does not."""
    from ..diagnosis.examination import examine

    found = examine(args.comfyui)
    console.show("\n\n".join(sections(found)))
    document = facts(found) | {"broken": found.broken}
    for sentence in found.broken:
        console.error(sentence)
    if not found.broken:
        console.show("\nnothing is broken")
        return Outcome(0, {"status": "ok"} | document)
    failed = {"status": "error", "error": " ".join(found.broken), "exit_code": 1}
    return Outcome(1, failed | document)


def sections(found: Examination) -> list[str]:
    """The tables for people, in the order of `Examination`."""
    return [
        "  ".join(f"{name} {version}" for name, version in found.versions.items()),
        _devices(found),
        _kernels(found),
        _memory(found),
        _models(found),
        _comfyui(found),
        _extras(found),
    ]


def facts(found: Examination) -> dict[str, object]:
    """The same for programs."""
    return {
        "versions": found.versions,
        "devices": [each.to_dict() for each in found.devices],
        "kernels": [each.to_dict() for each in found.kernels],
        "memory": found.memory.to_dict(),
        "models_folder": None if found.models_folder is None else str(found.models_folder),
        "models": [_model_facts(row) for row in found.models],
        "comfyui": [each.to_dict() for each in found.comfyui],
        "extras": [each.to_dict() for each in found.extras],
    }


def _devices(found: Examination) -> str:
    rows = [("device", "auto", "fast", "slow", "free", "of", "")]
    for each in found.devices:
        free, total = _size(each.free_bytes), _size(each.total_bytes)
        about = f"does not compute: {each.fault}" if each.fault else each.description
        name = f"-> {each.name}" if each.chosen else each.name
        fast, slow = _with(each, "fast"), _with(each, "slow")
        rows.append((name, each.auto or "-", fast, slow, free, total, about))
    return table(rows)


def _with(device: DeviceFinding, speed: str) -> str:
    return " ".join(name for name, known in device.precisions.items() if known == speed) or "-"


def _kernels(found: Examination) -> str:
    rows = [("kernels", "tried first", "else", "")]
    for each in found.kernels:
        where = f"{each.device} {each.precision}"
        rows.append((where, each.name, ", ".join(each.others) or "-", each.reason))
    return table(rows)


def _memory(found: Examination) -> str:
    memory = found.memory
    limit = f" (limited by {memory.limited_by})" if memory.limited_by else ""
    unknown = "" if memory.free_bytes is not None else "; pip install psutil to know what is free"
    return f"memory: {_size(memory.free_bytes)} free of {_size(memory.total_bytes)}{limit}{unknown}"


def _models(found: Examination) -> str:
    rows = [("model", "here", "for", "")]
    for row in found.models:
        here = "yes" if row.path else "no"
        get = "" if row.path else f"swin2sr models download {row.entry.name}"
        rows.append((row.entry.name, here, row.entry.purpose, get))
    return f"{table(rows)}\nmodels are kept in {found.models_folder or '(no folder)'}"


def _comfyui(found: Examination) -> str:
    if not found.comfyui:
        return "ComfyUI: none found in the usual places; name one with --comfyui DIR"
    rows = [("ComfyUI", "version", "this pack")]
    for each in found.comfyui:
        pack = {0: "not in custom_nodes", 1: "yes"}.get(each.copies, f"{each.copies} copies")
        rows.append((str(each.path), each.version or "unknown", pack))
    return table(rows)


def _extras(found: Examination) -> str:
    rows = [("extra", "here", "for", "")]
    for each in found.extras:
        here = "yes" if not each.missing else "in part" if each.here else "no"
        rows.append((each.name, here, each.purpose, each.install))
    return table(rows)


def _model_facts(row: ModelRow) -> dict[str, object]:
    path = None if row.path is None else str(row.path)
    return {"name": row.entry.name, "here": row.path is not None, "path": path}


def _size(size: int | None) -> str:
    from swin2sr_core.units import format_bytes

    return "unknown" if size is None else format_bytes(size)
