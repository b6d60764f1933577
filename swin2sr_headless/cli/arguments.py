"""What the commands' arguments have in common: the parser, shared options, and units.

Nothing here imports torch, so that help and mistyped arguments are answered at once.
"""

from __future__ import annotations

import argparse
import difflib
import math
import os
import re
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

from swin2sr_core.errors import InputError
from swin2sr_core.export.onnx_file import SUFFIX as ONNX
from swin2sr_core.kernels.setting import SETTINGS, VARIABLE
from swin2sr_core.planning.choices import (
    EDGES,
    ENGINES,
    MAX_MEGAPIXELS,
    MAX_SCALE,
    PRECISIONS,
    PROVIDERS,
    STRATEGIES,
)
from swin2sr_core.planning.picture_plan import PictureSettings
from swin2sr_core.planning.request import usual_scale

from .output import Console, Outcome
from .stopping import StopSwitch

DEFAULT_MODEL = "compact-x4"
JSON_LINES = "--json=lines"

_UNIT_BYTES = {"": 1, "B": 1} | {
    unit + ending: 1024**power for power, unit in enumerate("KMGT", 1) for ending in ("", "B", "IB")
}
_AMOUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", re.IGNORECASE)
_PROGRAM_BYTES = 320 << 20
"""Resident in a process that has loaded torch for a CPU, and what its libraries take while they
work: 250 to 300 MB were measured on Linux."""
_SIZE = re.compile(r"(\d+)x(\d+)", re.IGNORECASE)


class Command(Protocol):
    """What a sub-command leaves in `args.run`."""

    def __call__(self, args: argparse.Namespace, console: Console, stop: StopSwitch) -> Outcome: ...


class UsageError(InputError):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are sentences of ours, not a usage block and an exit."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


Commands = argparse._SubParsersAction  # argparse has no public name for what add_subparsers gives


def add_command(
    commands: Commands[Parser], name: str, run: Command | None, summary: str, examples: str
) -> Parser:
    """A sub-command that calls `run`: `summary` is for both helps, `examples` for its own.

    `run` is None for a command that consists of further ones.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def parsed(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments; an option that its sub-command does not have is told with that one's help."""
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        command: Parser = args.parser
        options = [name for action in command._actions for name in action.option_strings]
        near = difflib.get_close_matches(unknown[0].partition("=")[0], options, n=1)
        hint = f" (did you mean {near[0]}?)" if near and unknown[0].startswith("-") else ""
        command.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return args


def with_json_lines(arguments: Sequence[str]) -> list[str]:
    """The arguments of `upscale` and `run` with "--json lines" as one word.

    An optional value of --json would swallow the picture in `upscale --json a.png`.
    """
    words = list(arguments)
    if words[:1] in (["upscale"], ["run"]):
        for at in range(len(words) - 2, 0, -1):
            if words[at : at + 2] == ["--json", "lines"]:
                words[at : at + 2] = [JSON_LINES]
    return words


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object on standard output"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-m",
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|PATH",
        help=f"a name that `swin2sr models list` shows, or a checkpoint file "
        f"(default: {DEFAULT_MODEL}, which needs no download)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="auto, cpu, cuda (cuda:1, ...), mps or xpu (default: auto, the best that is there)",
    )


def add_running(parser: argparse.ArgumentParser) -> None:
    """How an upscale is to be run: what `upscale` and `plan` share."""
    _add_network(parser)
    _add_size(parser)
    _add_memory(parser)


def _add_network(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument(
        "--precision",
        default="auto",
        choices=PRECISIONS,
        help="number format of the network (default: auto, bf16 where the hardware is faster in "
        "it)",
    )
    add_device(parser)
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        help="torch for models, onnxruntime for files of `swin2sr export` (default: by the file)",
    )
    parser.add_argument(
        "--provider",
        default="auto",
        choices=("auto", *PROVIDERS),
        metavar="NAME",
        help=f"with an exported file: {', '.join(PROVIDERS)} (default: auto, the first of these "
        "that is installed, but tensorrt)",
    )
    parser.add_argument(
        "--kernels",
        choices=SETTINGS,
        help="what runs the blocks of the network: auto, the fused kernel where one is built and "
        "proves right, or reference, PyTorch (default: what SWIN2SR_KERNELS says, else auto)",
    )


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-s",
        "--scale",
        type=number(
            lambda value: 0 < value <= MAX_SCALE, f"a number over 0 and at most {MAX_SCALE}"
        ),
        metavar="N",
        help="enlargement, over 0 and at most 64 (default: 4; 1 for restoration models)",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--longest-side",
        type=whole_number(1, 1 << 17),
        default=0,
        metavar="N",
        help="longest side of the result in pixels, instead of --scale",
    )
    instead.add_argument(
        "--megapixels",
        type=number(
            lambda value: 0 < value <= MAX_MEGAPIXELS,
            f"a number over 0 and at most {MAX_MEGAPIXELS}",
        ),
        default=0.0,
        metavar="N",
        help="size of the result in megapixels (1024x1024 each), instead of --scale",
    )
    parser.add_argument(
        "--edge",
        default="reflect",
        choices=EDGES,
        help="what lies beyond the border: the picture mirrored, or (wrap) its opposite side, for "
        "textures that tile (default: reflect)",
    )


def _add_memory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--strategy",
        default="auto",
        choices=STRATEGIES,
        help="how the picture is cut up: whole (no tiles, all on the device), staged (no tiles, "
        "feature maps offloaded to RAM), tiled; whole and staged give the whole network's result "
        "(default: auto, the faster of these that fits into memory, else tiles)",
    )
    parser.add_argument(
        "--tile",
        type=whole_number(0, 1 << 16),
        default=0,
        metavar="N",
        help="with --strategy tiled: side of a tile in input pixels (default: 0, chosen)",
    )
    parser.add_argument(
        "--overlap",
        type=whole_number(0, 1 << 12),
        metavar="N",
        help="with --strategy tiled: input pixels that neighbouring tiles share (default: 32)",
    )
    parser.add_argument(
        "--max-input-side",
        type=whole_number(0, 1 << 16),
        default=0,
        metavar="N",
        help="reduce pictures with a longer side to N pixels first (default: 0, never)",
    )
    parser.add_argument(
        "--max-memory",
        type=parse_bytes,
        metavar="SIZE",
        help="the most that may be taken, on a CPU by the whole program, on a GPU of its memory: "
        "2GB, 1.5GiB, 800MB or bytes, in powers of 1024 (default: nine tenths of what is free)",
    )


def check_engine(args: argparse.Namespace) -> None:
    """Raises InputError where --engine and the model's file do not fit."""
    exported = str(args.model).lower().endswith(ONNX)
    if args.engine == "torch" and exported:
        raise InputError(
            f"{args.model} is an exported file, which --engine torch does not run; leave --engine "
            "out, or name the checkpoint"
        )
    if args.engine == "onnxruntime" and not exported:
        raise InputError(
            f"--engine onnxruntime runs exported files, and {args.model} is none: first "
            f"`swin2sr export {args.model} -o FILE.onnx`, then --model FILE.onnx"
        )


def choose_kernels(args: argparse.Namespace) -> None:
    """Have the rest of this process use what --kernels says, if it was given."""
    if args.kernels is not None:
        os.environ[VARIABLE] = args.kernels


def parse_bytes(text: str) -> int:
    """Bytes of "2GB", "1.5GiB", "800 MB" or "123456"; units are powers of 1024, in any case.

    They are what the core's own messages mean by them, so that a budget it names can be typed.
    Raises InputError.
    """
    match = _AMOUNT.fullmatch(text.strip())
    unit = _UNIT_BYTES.get(match[2].upper()) if match else None
    size = int(float(match[1]) * unit) if match and unit else 0
    if size < 1:
        raise InputError(
            f"--max-memory must be an amount of memory, got {text!r}; write 2GB, 1.5GiB, 800MB or "
            "a number of bytes"
        )
    return size


def parse_size(text: str) -> tuple[int, int] | None:
    """The two numbers of "512x768" in the order they stand in; None for other texts."""
    match = _SIZE.fullmatch(text.strip())
    return (int(match[1]), int(match[2])) if match else None


def number(fits: Callable[[float], bool], expected: str) -> Callable[[str], float]:
    """An argparse type: a number that `fits`; `expected` says which ones do."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not fits(value):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return value

    return parse


def picture_settings(args: argparse.Namespace, network_scale: int) -> PictureSettings:
    """What `add_running` has added, and --sharpen where there is one, as the core's settings."""
    return PictureSettings(
        scale=usual_scale(network_scale) if args.scale is None else args.scale,
        longest_side=args.longest_side,
        megapixels=args.megapixels,
        sharpen=getattr(args, "sharpen", 0.0),
        edge=args.edge,
        strategy=args.strategy,
        tile=args.tile,
        overlap=args.overlap,
        max_memory=args.max_memory,
        max_input_side=args.max_input_side,
        program_bytes=_PROGRAM_BYTES,
    )


def unused_options(args: argparse.Namespace) -> list[str]:
    """What was given and has no effect, of the options of `add_running`."""
    given = [
        name
        for name, value in (("--tile", args.tile or None), ("--overlap", args.overlap))
        if value is not None
    ]
    if not given or args.strategy == "tiled":
        return []
    what = " and ".join(given)
    if args.strategy == "auto":
        return [f"{what} without --strategy tiled: counts only where memory leads to tiles"]
    return [f"{what} without --strategy tiled: has no effect"]


def truth(text: str) -> bool | None:
    """What a word of a variable or a form says; None where it is neither true nor false."""
    word = text.lower()
    if word in ("1", "true", "yes", "on"):
        return True
    return False if word in ("0", "false", "no", "off", "") else None


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """An argparse type: an integer within these bounds."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least} to {most:,}, got {text!r}"
            )
        return value

    return parse
