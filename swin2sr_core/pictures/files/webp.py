"""WebP pictures and animations: frames are encoded by Pillow, the container is written here.

(Pillow would hold all frames of an animation at once.) The container is that of the WebP
Container Specification (RIFF; developers.google.com/speed/webp/docs/riff_container).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from io import BufferedWriter

import numpy as np
from PIL import Image

from ...errors import InputError
from ..frame import Pixels
from .animation import Box, changed_box, ticks
from .exif import parse_exif
from .metadata import Metadata

_MAX_MS = (1 << 24) - 1
_ICC_FLAG, _ALPHA_FLAG, _EXIF_FLAG, _XMP_FLAG, _ANIMATION_FLAG = 0x20, 0x10, 0x08, 0x04, 0x02
_REPLACE = 0x02  # a frame's pixels replace what is below, their alpha included
_PIXEL_CHUNKS = (b"ALPH", b"VP8 ", b"VP8L")


def write_webp(
    sink: BufferedWriter, pixels: Pixels, metadata: Metadata, quality: int | None
) -> None:
    """One picture; lossless if quality is None, else lossy of that quality, 0..100."""
    exif, profile = _exif(metadata), metadata.icc_profile or b""
    xmp = metadata.xmp or b""
    sink.write(_encoded(pixels, quality, icc_profile=profile, exif=exif, xmp=xmp))


def write_webp_animation(
    sink: BufferedWriter, frames: Iterable[Pixels], metadata: Metadata, quality: int | None
) -> None:
    """An animation: every frame stores the box that differs from the one before it."""
    durations = ticks(metadata.durations, 1)
    exif, profile = _exif(metadata), metadata.icc_profile
    previous: Pixels | None = None
    sink.write(b"RIFF\0\0\0\0WEBP")
    for pixels in frames:
        if previous is None:
            flags = _ANIMATION_FLAG | (_ALPHA_FLAG if pixels.shape[2] in (2, 4) else 0)
            flags |= (_ICC_FLAG if profile else 0) | (_EXIF_FLAG if exif else 0)
            flags |= _XMP_FLAG if metadata.xmp else 0
            height, width = pixels.shape[:2]
            canvas = struct.pack("<I", flags) + _u24(width - 1) + _u24(height - 1)
            _write_chunk(sink, b"VP8X", canvas)
            if profile:
                _write_chunk(sink, b"ICCP", profile)
            _write_chunk(sink, b"ANIM", struct.pack("<IH", 0, min(metadata.loop, 0xFFFF)))
        box = changed_box(previous, pixels, align=2)
        image = _encoded(pixels[box.y0 : box.y1, box.x0 : box.x1], quality)
        head = _frame_head(box, min(next(durations), _MAX_MS))
        _write_chunk(sink, b"ANMF", head + b"".join(_pixel_chunks(image)))
        previous = pixels
    if exif:
        _write_chunk(sink, b"EXIF", exif)
    if metadata.xmp:
        _write_chunk(sink, b"XMP ", metadata.xmp)
    _write_riff_size(sink)


def _encoded(
    pixels: Pixels,
    quality: int | None,
    *,
    icc_profile: bytes = b"",
    exif: bytes = b"",
    xmp: bytes = b"",
) -> bytes:
    grey = pixels.shape[2] <= 2
    colors = np.concatenate([pixels[..., :1]] * 3 + [pixels[..., 1:]], axis=2) if grey else pixels
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(colors)).save(
        file,
        "WEBP",
        lossless=quality is None,
        quality=75 if quality is None else quality,  # lossless: the effort, not what is kept
        exact=True,
        icc_profile=icc_profile,
        exif=exif,
        xmp=xmp,
    )
    return file.getvalue()


def _exif(metadata: Metadata) -> bytes:
    """WebP has no other place for the resolution."""
    return parse_exif(metadata.exif).with_dpi(metadata.dpi).block() or b""


def _u24(value: int) -> bytes:
    return value.to_bytes(3, "little")


def _frame_head(box: Box, milliseconds: int) -> bytes:
    place = (box.x0 // 2, box.y0 // 2, box.x1 - box.x0 - 1, box.y1 - box.y0 - 1)
    return b"".join(map(_u24, (*place, milliseconds))) + bytes([_REPLACE])


def _pixel_chunks(file: bytes) -> Iterator[bytes]:
    """The chunks of a still WebP file that hold its pixels, with heads and padding."""
    at = 12
    while at + 8 <= len(file):
        name, length = struct.unpack_from("<4sI", file, at)
        end = at + 8 + length + length % 2
        if name in _PIXEL_CHUNKS:
            yield file[at:end]
        at = end


def _write_chunk(sink: BufferedWriter, name: bytes, content: bytes) -> None:
    sink.write(struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2))


def _write_riff_size(sink: BufferedWriter) -> None:
    size = sink.tell() - 8
    if size >= 2**32:
        raise InputError("the animation does not fit into a WebP file (4 GiB); write a .png")
    sink.seek(4)
    sink.write(struct.pack("<I", size))
