"""The options of swin2sr upscale."""

from __future__ import annotations

import argparse

from swin2sr_core.pictures.files.formats import FORMATS
from swin2sr_core.pictures.limits import MAX_FRAMES, MAX_PIXELS
from swin2sr_core.planning.choices import MAX_SHARPEN

from .arguments import JSON_LINES, Parser, add_json, add_running, number, whole_number

EXAMPLES = """\
  swin2sr upscale photo.jpg                      writes photo_x4.jpg beside it
  swin2sr upscale photo.jpg -o large.png         another name and format
  swin2sr upscale holiday/ -o large/             all pictures of a folder
  swin2sr upscale holiday/ -o large/ --skip-existing      go on where it was stopped
  swin2sr upscale scan.tif --max-memory 1GB      24 megapixels, in a gigabyte
  swin2sr upscale clip.mp4 --scale 2             a film, with its sound (pip install av)
  swin2sr upscale old.png --model realworld-x4   for blurred or noisy photographs
  swin2sr upscale group.jpg --faces              and the faces with a better model"""


def add_options(parser: Parser) -> None:
    """All options of the command."""
    _add_places(parser)
    add_making(parser)
    _add_course(parser)
    add_progress(parser)
    add_json(parser)
    parser.add_argument(
        JSON_LINES, action="store_true", dest="json_lines", help="one object per picture and line"
    )


def add_making(parser: argparse.ArgumentParser) -> None:
    """How a picture is computed and written: what `upscale` and `batch` share."""
    add_running(parser)
    parser.add_argument(
        "--sharpen",
        type=number(
            lambda value: 0 <= value <= MAX_SHARPEN, f"a number from 0 (off) to {MAX_SHARPEN:g}"
        ),
        default=0.0,
        metavar="N",
        help="sharpen the result without halos, 0 to 0.5; 0.2 suits line art (default: 0, off)",
    )
    _add_faces(parser)
    _add_writing(parser)
    add_picture_limits(parser)


def add_progress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress",
        action="store_true",
        help="show the progress bar even where standard error is no terminal",
    )


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="pictures (PNG, JPEG, WebP, TIFF, AVIF and what else Pillow reads; animations and "
        "pages too), folders, or patterns; - for standard input. What this command has written "
        "is not taken again",
    )
    parser.add_argument(
        "--recursive", action="store_true", help="folders with those below; -o keeps their tree"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="a file, whose suffix chooses the format, a folder, or - for standard output "
        "(default: beside the input, with _x4 in the name)",
    )
    add_naming(parser)


def add_naming(parser: argparse.ArgumentParser) -> None:
    """How outputs are called."""
    parser.add_argument(
        "-f",
        "--format",
        type=format_suffix,
        metavar="NAME",
        help="png, jpg, webp, tif ...: the format of the outputs (default: the input's)",
    )
    parser.add_argument(
        "--suffix",
        type=name_part,
        metavar="TEXT",
        help="what is put behind the names of outputs (default: _x4, by the scale)",
    )


def add_picture_limits(parser: argparse._ActionsContainer) -> None:
    """How large pictures, and how long animations, may be."""
    parser.add_argument(
        "--max-pixels",
        type=whole_number(1, 10**12),
        default=MAX_PIXELS,
        metavar="N",
        help=f"refuse inputs with more pixels than this (default: {MAX_PIXELS:,})",
    )
    parser.add_argument(
        "--max-frames",
        type=whole_number(1, 10**9),
        default=MAX_FRAMES,
        metavar="N",
        help=f"refuse animations with more frames than this (default: {MAX_FRAMES:,})",
    )


def _add_faces(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--faces",
        action="store_true",
        help="find the faces, re-run them with --face-model, and blend them in; needs "
        "`pip install opencv-python-headless`",
    )
    parser.add_argument(
        "--face-model",
        metavar="NAME|PATH",
        help="the better model for the faces; implies --faces (default: lightweight-x2). The same "
        "as --model changes nothing",
    )


def _add_course(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overwrite", action="store_true", help="replace outputs that exist (default: refuse)"
    )
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="go on with a batch: leave whole outputs of the same input and settings, make all "
        "others, also half-written and differently made ones",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="also write OUT_compare.png: bicubic enlargement left, the result right",
    )


def _add_writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bits",
        type=int,
        choices=(8, 16),
        help="bits per sample; 16 for PNG and TIFF only (default: as in the input)",
    )
    parser.add_argument(
        "--quality",
        type=whole_number(0, 100),
        metavar="N",
        help="0 to 100 for JPEG (default: 95), AVIF (default: 90) and WebP (default: lossless)",
    )
    parser.add_argument(
        "--strip-metadata",
        action="store_true",
        help="leave out EXIF, XMP, IPTC, comments, texts and workflows; colour profile and "
        "resolution stay (default: all that the format holds)",
    )


def format_suffix(text: str) -> str:
    """An argparse type: the suffix, with its dot, of a format that can be written."""
    suffix = f".{text.lower().lstrip('.')}"
    if suffix not in FORMATS:
        names = ", ".join(name.lstrip(".") for name in FORMATS)
        raise argparse.ArgumentTypeError(f"expected one of {names}, got {text!r}")
    return suffix


def name_part(text: str) -> str:
    """An argparse type: what may stand in a file's name."""
    if any(character in text for character in '/\\\0:*?"<>|'):
        raise argparse.ArgumentTypeError(f"expected a part of a file name, got {text!r}")
    return text
