"""GIF pictures and animations: frames are encoded by Pillow, the container is written here.

(Pillow would hold all frames of an animation at once, and merge or re-index some.) The format is
that of the GIF89a specification.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from io import BufferedWriter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..frame import Pixels
from .animation import Box, changed_box, ticks
from .gif_blocks import XMP_NAME, XMP_TRAILER
from .metadata import Metadata

_TRANSPARENT = 255
_KEEP, _CLEAR = 1, 2  # what becomes of a frame before the next
_MAX_TICKS = 65535
_TABLE_FLAG = 0x80


def write_gif(
    sink: BufferedWriter, frames: Iterable[Pixels], metadata: Metadata, *, animated: bool
) -> None:
    """A picture or an animation, each frame in 256 colours of its own, or 255 and transparency.

    Without alpha a frame stores the box that differs from the one before it. A pixel is transparent
    where alpha is below one half: GIF knows nothing between.
    """
    durations = ticks(metadata.durations, 10)
    previous: Pixels | None = None
    for pixels in frames:
        height, width, channels = pixels.shape
        if previous is None:
            sink.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0))
            if animated and metadata.loop != 1:
                repeats = max(metadata.loop - 1, 0)
                sink.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", repeats, 0))
            _write_texts(sink, metadata)
        alpha = channels in (2, 4)
        box = changed_box(None if alpha else previous, pixels)
        delay = min(next(durations), _MAX_TICKS) if animated else 0
        _write_frame(sink, pixels[box.y0 : box.y1, box.x0 : box.x1], box, delay)
        previous = pixels
    sink.write(b";")


def _write_texts(sink: BufferedWriter, metadata: Metadata) -> None:
    comment = metadata.comment or b""
    if comment:
        pieces = [comment[at : at + 255] for at in range(0, len(comment), 255)]
        sink.write(b"!\xfe" + b"".join(bytes([len(each)]) + each for each in pieces) + b"\0")
    if metadata.xmp:
        sink.write(b"!\xff\x0b" + XMP_NAME + metadata.xmp + XMP_TRAILER)


def _write_frame(sink: BufferedWriter, pixels: Pixels, box: Box, delay: int) -> None:
    alpha = pixels.shape[2] in (2, 4)
    packed = (_CLEAR if alpha else _KEEP) << 2 | alpha
    sink.write(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, packed, delay, _TRANSPARENT, 0))
    table, data = _encoded(_indexed(pixels))
    bits = (len(table) // 3).bit_length() - 1  # the table has 2 ** bits colours
    place = (box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0)
    sink.write(struct.pack("<BHHHHB", 0x2C, *place, _TABLE_FLAG | (bits - 1)))
    sink.write(table)
    sink.write(data)


def _indexed(pixels: Pixels) -> Image.Image:
    """The pixels in a palette; where alpha is below one half, with index 255."""
    channels = pixels.shape[2]
    grey, alpha = channels <= 2, channels in (2, 4)
    colors: NDArray[np.generic] = np.repeat(pixels[..., :1], 3, axis=2) if grey else pixels[..., :3]
    image = Image.fromarray(np.ascontiguousarray(colors))
    if not alpha:
        return image.quantize(256)
    hidden = pixels[..., -1] < 128
    image = image.quantize(255)
    palette = bytes(image.getpalette() or b"")[: 3 * 255]
    indices = np.where(hidden, np.uint8(_TRANSPARENT), np.asarray(image))
    result = Image.fromarray(indices, "L")
    result.putpalette(palette.ljust(768, b"\0"))
    return result


def _encoded(image: Image.Image) -> tuple[bytes, bytes]:
    """Colour table and compressed data of a still GIF that Pillow writes.

    The table has 256 colours: the picture's indices are as they are in `image`.
    """
    file = io.BytesIO()
    image.save(file, "GIF", optimize=False, interlace=0)
    content = file.getvalue()
    flags = content[10]
    table = content[13 : 13 + 3 * (2 << (flags & 7))]
    at = 13 + len(table)
    while content[at] == 0x21:  # extensions: a label, then blocks, the last one empty
        at += 2
        while content[at]:
            at += content[at] + 1
        at += 1
    return table, content[at + 10 : -1]
