"""Frames to files: one encoder per format, chosen by the name's suffix."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator
from io import BufferedWriter
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import InputError
from ..frame import Frame, Pixels, over_white, to_pixels
from .avif import write_avif
from .formats import ANIMATED, DEEP, FORMATS, OPAQUE, format_of
from .gif import write_gif
from .metadata import Metadata, profile_fits
from .output_file import output_file
from .output_limits import check_output, not_animated
from .png import write_apng, write_png
from .tiff import write_tiff
from .webp import write_webp, write_webp_animation

logger = logging.getLogger(__name__)

__all__ = ["ANIMATED", "DEEP", "FORMATS", "JPEG_QUALITY", "format_of", "save_picture"]

JPEG_QUALITY = 95

_JPEG_MAX_EXIF = 65533 - 6


def save_picture(
    path: str | Path,
    frames: Iterable[Frame],
    metadata: Metadata | None = None,
    *,
    bits: int = 8,
    quality: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write frames as the picture or animation that the suffix of `path` names.

    Formats: .png (.apng), .jpg, .jpeg, .webp, .tif, .tiff, .bmp, .gif, .avif. Frames are taken one
    at a time, so that a generator need not have them all, and rounded as `to_pixels` says.

    metadata: what goes into the file besides pixels, as far as its format holds it. More than one
        frame makes an animation, played at `metadata.durations`.
    bits: 8, or 16 (PNG and TIFF).
    quality: 0..100 for JPEG (95 if None; colour is never subsampled), AVIF (90 if None) and WebP
        (lossless if None); other formats are lossless and have none, but GIF, which reduces each
        frame to 256 colours.
    Alpha is kept in PNG, WebP, TIFF, AVIF and, as all or nothing, in GIF; for JPEG and BMP the
    picture is laid on white, with a warning.

    The file appears when it is complete; nothing is left behind by a failure or an interrupt.
    Raises InputError for an unknown suffix, what the format cannot hold, a missing or read-only
    folder and a full disk, and OutputExistsError if `path` exists and `overwrite` is false.
    """
    path, metadata = Path(path), metadata or Metadata()
    kind = format_of(path)
    _check_options(path, kind, metadata, bits, quality)
    with output_file(path, overwrite=overwrite) as sink:
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            raise InputError(f"{path.name} was not written: there are no frames to write")
        timed = len(metadata.durations) > 1
        check_output(path, *first.size, 1, first.channels, bits)
        second = None if timed else next(frames, None)
        if not profile_fits(metadata.icc_profile, first.color.shape[1]):
            metadata = dataclasses.replace(metadata, icc_profile=None)
        if timed or second is not None:
            if kind not in ANIMATED:
                raise not_animated(path, kind)
            rest = frames if second is None else chain([second], frames)
            animation = _alike(chain([to_pixels(first, bits)], (to_pixels(f, bits) for f in rest)))
            del first, second  # of an animation there is one float frame at a time
            _write_animation(sink, kind, animation, metadata, quality)
        else:
            _write_still(sink, kind, _holdable(first, kind, path), metadata, bits, quality)


def _check_options(
    path: Path, kind: str, metadata: Metadata, bits: int, quality: int | None
) -> None:
    if bits not in (8, 16):
        raise InputError(f"bits must be 8 or 16, got {bits}")
    if bits == 16 and kind not in DEEP:
        raise InputError(f"{kind} holds 8 bits, not 16; write {path.stem}.png or {path.stem}.tif")
    if quality is not None and not 0 <= quality <= 100:
        raise InputError(f"quality must be 0 to 100, got {quality}")
    if len(metadata.durations) > 1 and kind not in ANIMATED:
        raise not_animated(path, kind)


def _holdable(frame: Frame, kind: str, path: Path) -> Frame:
    """The frame without the alpha that its format does not have."""
    if kind not in OPAQUE or frame.alpha is None:
        return frame
    logger.warning("%s has no transparency; %s is laid on white", kind, path.name)
    return over_white(frame)


def _alike(frames: Iterable[Pixels]) -> Iterator[Pixels]:
    """The frames of an animation as they come, all with the first one's size and channels."""
    shape = None
    for pixels in frames:
        shape = shape or pixels.shape
        if pixels.shape != shape:
            raise InputError(
                "the frames of an animation must have one height, width and number of channels: "
                f"the first has {shape}, another {pixels.shape}"
            )
        yield pixels


def _write_animation(
    sink: BufferedWriter,
    kind: str,
    frames: Iterator[Pixels],
    metadata: Metadata,
    quality: int | None,
) -> None:
    if kind == "PNG":
        write_apng(sink, frames, metadata)
    elif kind == "WEBP":
        write_webp_animation(sink, frames, metadata, quality)
    else:
        write_gif(sink, frames, metadata, animated=True)


def _write_still(
    sink: BufferedWriter,
    kind: str,
    frame: Frame,
    metadata: Metadata,
    bits: int,
    quality: int | None,
) -> None:
    if kind == "PNG":
        write_png(sink, frame, metadata, bits)
    elif kind == "TIFF":
        write_tiff(sink, frame, metadata, bits)
    elif kind == "WEBP":
        write_webp(sink, to_pixels(frame), metadata, quality)
    elif kind == "GIF":
        write_gif(sink, [to_pixels(frame)], metadata, animated=False)
    elif kind == "JPEG":
        _write_jpeg(sink, frame, metadata, quality)
    elif kind == "AVIF":
        write_avif(sink, to_pixels(frame), metadata, quality)
    else:
        _image(frame).save(sink, "BMP", **({"dpi": metadata.dpi} if metadata.dpi else {}))


def _write_jpeg(
    sink: BufferedWriter, frame: Frame, metadata: Metadata, quality: int | None
) -> None:
    exif = metadata.exif or b""
    if len(exif) > _JPEG_MAX_EXIF:
        logger.warning("the EXIF data (%d bytes) is too long for a JPEG and left out", len(exif))
        exif = b""
    _image(frame).save(
        sink,
        "JPEG",
        quality=JPEG_QUALITY if quality is None else quality,
        subsampling=0,
        dpi=metadata.dpi or (0, 0),
        icc_profile=metadata.icc_profile or b"",
        exif=b"Exif\0\0" + exif if exif else b"",
    )


def _image(frame: Frame) -> Image.Image:
    """A frame without alpha as Pillow's L or RGB."""
    pixels = to_pixels(frame)
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if frame.channels == 1 else pixels))
