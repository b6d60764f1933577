"""swin2sr bench: how fast this machine upscales, by precision and strategy."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from swin2sr_core.errors import InputError

from .arguments import (
    PRECISIONS,
    STRATEGIES,
    Commands,
    Parser,
    add_command,
    add_device,
    add_json,
    add_model,
    parse_size,
    whole_number,
)
from .output import Console, Outcome, table
from .stopping import StopSwitch

if TYPE_CHECKING:
    import torch

    from ..benchmarking.cases import Case
    from ..benchmarking.engines import Result

_DEFAULT_SIZES = ((128, 128), (256, 256))
_MOST_PIXELS = 1 << 28
_EXAMPLES = """\
  swin2sr bench
  swin2sr bench --size 512 --precision bf16 --strategy whole
  swin2sr bench --engines --size 128        beside onnxruntime and OpenVINO, as installed
  swin2sr bench --size 1080x1920 --model classical-x4 --repeat 3 --json"""


def register(commands: Commands[Parser]) -> None:
    """Add the command and its options."""
    parser = add_command(
        commands, "bench", run, "time this machine by precision and strategy", _EXAMPLES
    )
    parser.add_argument(
        "--size",
        action="append",
        type=parse_side,
        metavar="N|HxW",
        help="input size in pixels, may be repeated (default: 128 and 256)",
    )
    add_model(parser)
    parser.add_argument(
        "--precision",
        action="append",
        choices=[name for name in PRECISIONS if name != "auto"],
        help="may be repeated (default: fp32, and what auto means here)",
    )
    parser.add_argument(
        "--strategy",
        action="append",
        choices=[name for name in STRATEGIES if name != "auto"],
        help="may be repeated (default: all)",
    )
    add_device(parser)
    parser.add_argument(
        "--repeat",
        type=whole_number(1, 1000),
        default=5,
        metavar="N",
        help="rounds; in each, every combination has its turn (default: 5)",
    )
    parser.add_argument(
        "--engines",
        action="store_true",
        help="instead: the model in torch, onnxruntime and OpenVINO, as far as they are installed, "
        "each in a process of its own, at the first --size (default: 128)",
    )
    parser.add_argument("--progress", action="store_true", help="show the bar even off a terminal")
    add_json(parser)


def parse_side(text: str) -> tuple[int, int]:
    """(height, width) of "128" or "96x128"; raises InputError."""
    size = parse_size(text) or parse_size(f"{text}x{text}")
    if size is None or not 1 <= size[0] * size[1] <= _MOST_PIXELS:
        raise InputError(
            f"--size must be N or HEIGHTxWIDTH, at most {_MOST_PIXELS:,} pixels, got {text!r}; "
            "write 256 or 1080x1920"
        )
    return size


def run(args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome:
    """Time all combinations, taking turns."""
    if args.engines:
        return _engines(args, console)
    import torch

    from swin2sr_core.machine.devices import resolve_device, resolve_precision
    from swin2sr_core.models.model import load_model

    from ..benchmarking.cases import make_cases, take_turns

    device = resolve_device(args.device)
    precisions = args.precision or ["fp32", resolve_precision("auto", device)]
    models = [load_model(args.model, name, device) for name in dict.fromkeys(precisions)]
    strategies = args.strategy or [name for name in STRATEGIES if name != "auto"]
    sizes = args.size or _DEFAULT_SIZES
    cases = make_cases(models, dict.fromkeys(sizes), dict.fromkeys(strategies))
    with console.bar("timing", None) as bar:
        take_turns(cases, args.repeat, bar.to)
    about: dict[str, object] = {
        "model": models[0].name,
        "device": str(device),
        "device_name": _device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "repeat": args.repeat,
    }
    heading = "{model} on {device_name}, {threads} threads, torch {torch}; medians of {repeat}"
    console.show(f"{heading.format(**about)}\n\n{_as_table(cases)}")
    console.show(
        "\nproducts: the same matrix products and convolutions, and nothing else; traffic: what all"
        " operations read and write, at the speed of a copy"
    )
    return Outcome(0, {"status": "ok"} | about | {"results": [case.to_dict() for case in cases]})


def _engines(args: argparse.Namespace, console: Console) -> Outcome:
    import tempfile

    from ..benchmarking.engines import compared
    from .export import exported_files

    if args.precision or args.strategy:
        raise InputError(
            "--engines has its own precisions and runs pictures whole; leave these out"
        )
    size = (args.size or _DEFAULT_SIZES)[0]
    with tempfile.TemporaryDirectory() as folder, console.bar("timing", None) as bar:
        files = exported_files(args.model, Path(folder), size)
        results = compared(args.model, files, size, args.repeat, bar.to)
    about: dict[str, object] = {
        "model": args.model,
        "input_size": [size[1], size[0]],
        "threads": os.cpu_count(),
        "repeat": args.repeat,
    }
    console.show(_engine_table(results))
    return Outcome(0, {"status": "ok"} | about | {"engines": [each.to_dict() for each in results]})


def _engine_table(results: list[Result]) -> str:
    from swin2sr_core.units import format_bytes

    rows = [
        ("engine", "precision", "ran", "first", "seconds", "range", "memory", "from fp32", "dB")
    ]
    for each in results:
        rows.append(
            (
                each.engine.name,
                each.engine.precision,
                each.kernel,
                f"{each.first:.2f}",
                f"{each.median:.3f}",
                f"{min(each.rounds):.3f}-{max(each.rounds):.3f}",
                format_bytes(each.bytes) if each.bytes else "-",
                f"{each.difference:.2g}",
                "-" if each is results[0] else f"{each.decibels:.1f}",
            )
        )
    note = "first: loading and the first picture; memory: of the whole process"
    return f"{table(rows)}\n\n{note}"


def _device_name(device: torch.device) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _as_table(cases: list[Case]) -> str:
    from swin2sr_core.units import format_bytes

    rows = [
        (
            "input",
            "precision",
            "strategy",
            "seconds",
            "range",
            "products",
            "ratio",
            "traffic",
            "memory",
        )
    ]
    for case in cases:
        height, width = case.image.shape[-2:]
        rows.append(
            (
                f"{width}x{height}",
                case.plan.precision,
                case.plan.strategy,
                f"{case.timing.median:.3f}",
                f"{min(case.timing.rounds):.3f}-{max(case.timing.rounds):.3f}",
                f"{case.reference.timing.median:.3f}",
                f"{case.ratio:.2f}",
                f"{case.reference.traffic:.3f}",
                format_bytes(case.plan.forecast_bytes),
            )
        )
    return table(rows)
