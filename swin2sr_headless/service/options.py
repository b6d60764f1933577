"""The fields of a request as options of `swin2sr upscale`, checked by the same parser."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from swin2sr_core.errors import InputError
from swin2sr_headless.cli.arguments import Parser, UsageError, parsed, truth
from swin2sr_headless.cli.upscale_options import add_options

Format = Literal["png", "jpeg", "jpg", "webp", "tiff", "tif", "same"]
Answer = Literal["picture", "json"]
_VALUED = (
    "scale",
    "longest_side",
    "megapixels",
    "strategy",
    "tile",
    "overlap",
    "sharpen",
    "edge",
    "quality",
    "bits",
    "max_input_side",
)
_FLAGS = {"faces": ("--faces", True), "keep_metadata": ("--strip-metadata", False)}
_OTHERS = ("model", "precision", "format", "batch_mode", "response", "timeout")
_BEFORE = re.compile(r"^argument (?:-\w/)?--([\w-]+): ")


@dataclass(frozen=True)
class Request:
    """What is wanted of one picture. options: words for the parser of `upscale`."""

    model: str
    options: tuple[str, ...]
    format: str
    first_only: bool
    as_json: bool
    timeout: float | None


@dataclass(frozen=True)
class Defaults:
    """What holds where a request says nothing: fields by their names, and the operator's options.

    fixed: options that no request can change, such as the memory.
    """

    models: Sequence[str]
    fields: Mapping[str, str]
    fixed: tuple[str, ...]
    precision: str = "auto"


def request_of(fields: Mapping[str, str], defaults: Defaults) -> Request:
    """Raises InputError, whose sentence names the field, for anything that cannot be meant."""
    unknown = sorted(set(fields) - {*_VALUED, *_FLAGS, *_OTHERS})
    if unknown:
        known = ", ".join((*_VALUED, *_FLAGS, *_OTHERS))
        raise InputError(f"there is no field {unknown[0][:40]!r}; the fields are {known}")
    given = {**defaults.fields, **{name: value for name, value in fields.items() if value != ""}}
    options = [*defaults.fixed]
    for name in _VALUED:
        if name in given:
            options += [f"--{name.replace('_', '-')}={given[name]}"]
    options += [
        option for name, (option, when) in _FLAGS.items() if _yes(given, name, False) is when
    ]
    parsed_options(options)
    _check_precision(given, defaults)
    return Request(
        model=_chosen("model", given.get("model", defaults.models[0]), defaults.models),
        options=tuple(options),
        format=_chosen("format", given.get("format", "png").lower(), get_args(Format)),
        first_only=not _yes(given, "batch_mode", True),
        as_json=_chosen("response", given.get("response", "picture"), get_args(Answer)) == "json",
        timeout=_seconds(given.get("timeout")),
    )


def parsed_options(options: Sequence[str]) -> argparse.Namespace:
    """As `swin2sr upscale` understands them, for a picture to be named. Raises InputError."""
    try:
        return parsed(_parser(), [*options, "--", "picture"])
    except UsageError as error:
        sentence = str(error).partition("; see `")[0]
        raise InputError(_BEFORE.sub(lambda m: m[1].replace("-", "_") + ": ", sentence)) from error


@cache
def _parser() -> Parser:
    parser = Parser(prog="upscale", allow_abbrev=False)
    parser.set_defaults(parser=parser)
    add_options(parser)
    return parser


def _chosen(name: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise InputError(f"{name}: expected one of {', '.join(choices)}, got {value[:40]!r}")
    return value


def _check_precision(given: Mapping[str, str], defaults: Defaults) -> None:
    """Models are loaded once: a request may name the precision that they have, or auto."""
    value = given.get("precision", "auto")
    _chosen("precision", value, tuple(dict.fromkeys(("auto", defaults.precision))))


def _yes(given: Mapping[str, str], name: str, default: bool) -> bool:
    value = given.get(name)
    if value is None:
        return default
    said = truth(value)
    if said is None:
        raise InputError(f"{name}: expected true or false, got {value[:40]!r}")
    return said


def _seconds(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not 0 < seconds <= 86400:
        raise InputError(f"timeout: expected seconds, over 0 and at most 86400, got {value[:40]!r}")
    return seconds
