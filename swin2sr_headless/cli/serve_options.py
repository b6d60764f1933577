"""The options of swin2sr serve; each is a variable of the environment, too."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

from swin2sr_core.errors import InputError
from swin2sr_core.planning.choices import PRECISIONS, STRATEGIES

from .arguments import DEFAULT_MODEL, Parser, parse_bytes, truth, whole_number
from .upscale_options import add_picture_limits

EXAMPLES = """\
  swin2sr serve                                   http://127.0.0.1:8080, for this machine alone
  swin2sr serve --max-memory 2GB --keep 10m       within 2 GB; results for ten minutes
  swin2sr serve --host 0.0.0.0 --api-keys keys    for others, who have a key
  curl -F image=@photo.jpg -F scale=4 http://127.0.0.1:8080/upscale -o large.png

Every option is a variable, too: SWIN2SR_MAX_MEMORY=2GB is --max-memory 2GB. Also understood:
MAX_INPUT_SIZE (--max-input-side), TILE_SIZE (--strategy tiled --tile), FP16_ENABLE (true:
--precision auto, false: fp32)."""

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def add_options(parser: Parser) -> None:
    """All options of the command, in groups."""
    _add_address(parser)
    _add_computing(parser)
    _add_limits(parser)
    _add_files(parser)


def _add_address(parser: Parser) -> None:
    address = parser.add_argument_group("address and access")
    address.add_argument(
        "--host", default="127.0.0.1", help="address (default: 127.0.0.1, this machine)"
    )
    address.add_argument(
        "--port",
        type=whole_number(0, 65535),
        default=8080,
        help="port; 0 for any free one (default: 8080)",
    )
    address.add_argument(
        "--api-keys",
        type=Path,
        metavar="FILE",
        help="who may: lines of a name and its key's SHA-256",
    )
    address.add_argument("--no-auth", action="store_true", help="let others in without keys")
    address.add_argument(
        "--key-rate",
        type=whole_number(0, 10**6),
        default=0,
        metavar="N",
        help="requests with a body of one key in a minute (default: 0, no limit)",
    )
    address.add_argument(
        "--key-bytes",
        type=parse_amount,
        metavar="SIZE",
        help="uploads of one key that may come and wait at once (default: no limit)",
    )
    address.add_argument(
        "--allowed-host",
        type=_listed,
        default=[],
        metavar="NAMES",
        help="names by which it may be called, besides those of this machine",
    )
    address.add_argument(
        "--cors",
        type=_listed,
        default=[],
        metavar="ORIGINS",
        help="web pages of others that may use it (default: none)",
    )
    _add_others(address)


def _add_others(address: argparse._ArgumentGroup) -> None:
    """Programs that are told, or speak otherwise."""
    address.add_argument(
        "--webhook-allow",
        type=_listed,
        default=[],
        metavar="HOSTS",
        help="hosts that jobs may have told of their end (default: none)",
    )
    address.add_argument(
        "--webhook-secret",
        type=Path,
        metavar="FILE",
        help="what webhooks are signed with: whsec_ and base64, or a text",
    )
    address.add_argument(
        "--compat",
        choices=("a1111",),
        help="also answer as AUTOMATIC1111's /sdapi/v1/extra-*-image does",
    )
    address.add_argument(
        "--log-level",
        choices=("info", "warning"),
        default="info",
        help="info: a line of JSON for each request; warning: only what goes wrong",
    )


def _add_computing(parser: Parser) -> None:
    computing = parser.add_argument_group("computing")
    computing.add_argument(
        "--model",
        type=_listed,
        default=[DEFAULT_MODEL],
        metavar="NAMES",
        help=f"models, the default first, with commas between (default: {DEFAULT_MODEL})",
    )
    computing.add_argument(
        "--device",
        type=_listed,
        default=["auto"],
        metavar="DEVICES",
        help="auto, cpu, cuda:0,cuda:1 ...: a worker on each (default: auto)",
    )
    computing.add_argument(
        "--workers",
        type=whole_number(1, 64),
        default=1,
        metavar="N",
        help="workers on a single device (default: 1, which has all of it)",
    )
    computing.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="the workers are on the nodes of a Ray cluster; auto for the one of this machine",
    )
    computing.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="number format of the networks (default: auto)",
    )
    computing.add_argument(
        "--max-memory",
        type=parse_amount,
        metavar="SIZE",
        help="the most that all of it may take of a device: 2GB, 800MB (default: nine tenths of "
        "what is free)",
    )
    computing.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="auto",
        help="how pictures are cut up where a request says nothing (default: auto)",
    )
    computing.add_argument(
        "--tile",
        type=whole_number(0, 1 << 16),
        default=0,
        metavar="N",
        help="side of the tiles with --strategy tiled (default: 0, chosen)",
    )
    computing.add_argument(
        "--no-spare",
        dest="spare",
        action="store_false",
        help="keep no started process in reserve",
    )


def _add_limits(parser: Parser) -> None:
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--max-input-side",
        type=whole_number(0, 1 << 16),
        default=0,
        metavar="N",
        help="reduce larger pictures first, and tell (default: 0, never)",
    )
    add_picture_limits(limits)
    limits.add_argument(
        "--max-upload",
        type=parse_amount,
        default=256 << 20,
        metavar="SIZE",
        help="refuse larger requests (default: 256MB)",
    )
    limits.add_argument(
        "--upload-idle",
        type=parse_seconds,
        default=10.0,
        metavar="TIME",
        help="give up uploads silent for so long, and heads that take longer (default: 10)",
    )
    limits.add_argument(
        "--upload-time",
        type=parse_seconds,
        default=300.0,
        metavar="TIME",
        help="give up an upload that takes longer in all (default: 5m)",
    )
    limits.add_argument(
        "--max-queue",
        type=whole_number(0, 10**6),
        default=32,
        metavar="N",
        help="pictures that may wait (default: 32)",
    )
    limits.add_argument(
        "--max-wait",
        type=parse_seconds,
        default=60.0,
        metavar="TIME",
        help="refuse what would wait longer (default: 60)",
    )


def _add_files(parser: Parser) -> None:
    keeping = parser.add_argument_group("files")
    keeping.add_argument(
        "--spool",
        type=Path,
        metavar="DIR",
        help="folder for uploads and results (default: one in the temporary folder)",
    )
    keeping.add_argument(
        "--spool-quota",
        type=parse_amount,
        metavar="SIZE",
        help="the most that it may hold (default: what the disk has)",
    )
    keeping.add_argument(
        "--keep",
        type=parse_seconds,
        default=3600.0,
        metavar="TIME",
        help="how long results stay: 10m, 1h, 2d (default: 1h)",
    )
    keeping.add_argument(
        "--drain",
        type=parse_seconds,
        default=60.0,
        metavar="TIME",
        help="when told to stop, finish what runs for so long (default: 60)",
    )
    keeping.add_argument(
        "--local-assets",
        type=Path,
        metavar="DIR",
        help="onnxruntime-web and a model, for pages with ?local=1 (default: none; docs/export.md)",
    )


def parse_seconds(text: str) -> float:
    """Seconds of "90", "10m", "1h" or "2d". Raises InputError."""
    match = _TIME.fullmatch(text.strip().lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a time such as 90, 10m, 1h or 2d, got {text!r}")
    return float(match[1]) * _SECONDS[match[2]]


def parse_amount(text: str) -> int:
    """Bytes of "2GB" or "800MB", for any option: the message names the one that was given."""
    try:
        return parse_bytes(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(
            f"expected an amount such as 2GB or 800MB, got {text!r}"
        ) from error


def environment_words(environment: Mapping[str, str]) -> list[str]:
    """What variables say, as words of a command line: our names win over the published ones.

    Raises InputError.
    """
    parser = Parser(add_help=False)
    add_options(parser)
    words = []
    for action in parser._actions:
        option = action.option_strings[0]
        name, text = _said(option, environment)
        if text is None:
            continue
        if action.nargs != 0:
            words.append(f"{option}={text}")
        elif _said_yes(name, text):
            words.append(option)
    if any(word.startswith("--tile=") for word in words):
        words.insert(0, "--strategy=tiled")
    return words


def _said(option: str, environment: Mapping[str, str]) -> tuple[str, str | None]:
    """The variable that speaks for an option, and what it says."""
    own = "SWIN2SR_" + option.lstrip("-").replace("-", "_").upper()
    published = {"--max-input-side": "MAX_INPUT_SIZE", "--tile": "TILE_SIZE"}.get(option, own)
    for name in (own, published):
        if environment.get(name):
            return name, environment[name]
    if option == "--precision" and (text := environment.get("FP16_ENABLE")):
        return "FP16_ENABLE", "auto" if _said_yes("FP16_ENABLE", text) else "fp32"
    return own, None


def _said_yes(name: str, text: str) -> bool:
    """Of a variable. Raises InputError."""
    said = truth(text)
    if said is None:
        raise InputError(f"{name} must be true or false, got {text!r}")
    return said


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
