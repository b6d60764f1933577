"""The options of swin2sr batch, and those that its workers hear of."""

from __future__ import annotations

import argparse

from .arguments import Parser, add_json, whole_number
from .upscale_options import add_making, add_naming, add_progress

EXAMPLES = """\
  swin2sr batch photos/ -o large/ --workers 2              two at a time
  swin2sr batch photos/ -o large/ --device cuda:0,cuda:1   on two GPUs
  swin2sr batch s3://bucket/in -o s3://bucket/out --recursive
  swin2sr batch s3://bucket/in -o s3://bucket/out --ray auto --workers 16
  swin2sr batch --list names.txt -o large/                 a name on each line

The same line again goes on where it was stopped: what is made is not made again, what has failed
is tried again. Results have the bytes that `swin2sr upscale` gives them."""

_NOT_FOR_WORKERS = {"help", "model", "precision", "device", "engine", "provider", "kernels"}


def add_options(parser: Parser) -> None:
    """All options of the command."""
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="IN",
        help="pictures, folders, patterns, and such of s3:// and other places that fsspec knows",
    )
    parser.add_argument("--list", metavar="FILE", help="names of more, one a line; - for stdin")
    parser.add_argument(
        "--recursive", action="store_true", help="folders with those below; -o keeps their tree"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="folder for the results, or s3://..."
    )
    add_naming(parser)
    parser.add_argument(
        "--manifest",
        metavar="FILE",
        help="what became of each picture, as JSON lines (default: swin2sr-manifest.jsonl in OUT)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what lies in OUT and no manifest tells of (default: refuse)",
    )
    parser.add_argument(
        "--workers",
        type=whole_number(1, 256),
        default=1,
        metavar="N",
        help="workers on a single device, which share its cores and memory (default: 1)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="the workers are on the nodes of a Ray cluster, one for each GPU (with --device cpu: "
        "CPU); auto for the cluster that this machine belongs to",
    )
    add_making(parser)
    for action in parser._actions:
        if action.dest == "device":
            action.type, action.dest, action.default = _devices, "devices", ["auto"]
            action.help = "auto, cpu, or cuda:0,cuda:1 ...: a worker on each (default: auto)"
    add_progress(parser)
    add_json(parser)


def making_words(args: argparse.Namespace) -> list[str]:
    """What was asked of each picture, as options of `upscale`."""
    parser = argparse.ArgumentParser(add_help=False)
    add_making(parser)
    words = []
    for action in parser._actions:
        value = getattr(args, action.dest, action.default)
        if action.dest in _NOT_FOR_WORKERS or value == action.default:
            continue
        option = action.option_strings[-1]
        words.append(option if action.nargs == 0 else f"{option}={value}")
    return words


def _devices(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()] or ["auto"]
