"""The process that opens strangers' files first: headers alone, and what a picture would take."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from swin2sr_core.errors import InputError
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.pictures import open_picture
from swin2sr_core.pictures.files.formats import ANIMATED, FORMATS, KEPT_BYTES, PAGED, format_of
from swin2sr_core.pictures.files.output_limits import check_output
from swin2sr_core.planning.budget import Room
from swin2sr_core.planning.picture_plan import PicturePlan, Prospect, plan_picture
from swin2sr_core.sentences import glossary
from swin2sr_headless.cli.arguments import picture_settings
from swin2sr_headless.failures import explain
from swin2sr_headless.service.errors import without_paths
from swin2sr_headless.service.options import parsed_options
from swin2sr_headless.service.speech import Message, Speech

ALLOWED = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
"""Formats that strangers may send: those that are written, too."""
_SUFFIXES = {"MPO": ".jpg", **{kind: suffix for suffix, kind in reversed(FORMATS.items())}}
"""Of each format the first that there is; a camera's MPO becomes a JPEG."""
_FLOAT = 4


def header_of(message: Message, args: argparse.Namespace) -> Message:
    """Size, frames and format of a file, and the suffix that its result gets."""
    with open_picture(
        message["path"],
        args.max_pixels,
        max_frames=args.max_frames,
        pages=message["format"] in ("tif", "tiff", "same"),
        first_only=True,
    ) as picture:
        if picture.format not in ALLOWED:
            raise InputError.saying(
                "serve_format",
                "{format} is not taken here; send one of {known}",
                format=picture.format,
                known=", ".join(ALLOWED),
            )
        wanted = message["format"]
        suffix = _SUFFIXES[picture.format] if wanted == "same" else f".{wanted}"
        frames = 1 if message["first_only"] else picture.frames_in_file
        if frames > 1 and format_of(Path(f"a{suffix}")) not in ANIMATED | PAGED:
            raise InputError.saying(
                "serve_frames",
                "this picture has {frames} frames, and {format} holds one; take png or webp, or "
                "batch_mode=false for the first frame",
                frames=frames,
                format=wanted,
            )
        return {
            "width": picture.size[0],
            "height": picture.size[1],
            "channels": picture.channels,
            "bits": picture.metadata.bits,
            "frames": frames,
            "format": picture.format,
            "suffix": suffix,
        }


def forecast_of(message: Message, header: Message, args: argparse.Namespace) -> Message:
    """The plan for it on a worker's device, its bytes, and its work in floating-point operations.

    Raises BudgetError where no plan fits.
    """
    prospect, suffix = prospect_from(message["prospect"]), header["suffix"]
    width, height, channels = header["width"], header["height"], header["channels"]
    memory = {name: message[name] for name in ("free_bytes", "program_bytes")}
    settings = replace(
        picture_settings(args, prospect.config.scale), program_bytes=memory["program_bytes"]
    )
    kept = KEPT_BYTES[format_of(Path(f"a{suffix}"))]
    if header["frames"] == 1 and not args.faces:
        settings = replace(settings, streamed=kept)
    room = Room(memory["free_bytes"])
    picture = plan_picture(prospect, height, width, settings, room, channels=channels)
    shape = picture.width, picture.height, header["frames"], channels, args.bits or header["bits"]
    check_output(Path(f"the result{suffix}"), *shape)
    return {
        **_document(picture),
        "memory": memory,
        "model_bytes": picture.plan.total_bytes,
        "bytes": picture.plan.total_bytes
        + width * height * channels * _FLOAT
        + picture.width * picture.height * kept,
        "work": picture.plan.work * header["frames"],
        "budget_bytes": picture.plan.budget_bytes,
    }


def prospect_from(document: Mapping[str, Any]) -> Prospect:
    """The inverse of `dataclasses.asdict`, after JSON."""
    config: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in document["config"].items()
    }
    return Prospect(**{**document, "config": Swin2SRConfig(**config)})


def _document(picture: PicturePlan) -> Message:
    return {
        "input_size": [picture.input_width, picture.input_height],
        "output_size": [picture.width, picture.height],
        "strategy": picture.plan.strategy,
        "exact": picture.plan.strategy != "tiled",
        "notices": list(picture.notices),
        "words": glossary(picture.notices),
        "plan": picture.plan.to_dict(),
    }


def answer(message: Message) -> Message:
    """Whatever a file holds, an answer."""
    try:
        args = parsed_options(message["options"])
        header = message.get("header") or header_of(message, args)
        return {"ok": True, "header": header, "forecast": forecast_of(message, header, args)}
    except (Exception, RecursionError) as error:
        failure = explain(error)
        sentence = without_paths(failure.sentence, message.get("path", "the picture"))
        return {
            "ok": False,
            "sentence": sentence,
            "words": glossary(sentence),
            "kind": failure.kind,
            "too_large": isinstance(error, InputError) and error.beyond_limit,
        }


def main() -> None:
    """Until the parent is gone."""
    speech = Speech()
    speech.say({"say": "started"})
    while True:
        speech.say(answer(speech.next()))


if __name__ == "__main__":
    main()
