"""TIFF: 16-bit samples read whole (Pillow gives 8 of them), and pictures written.

Tags are numbered as in the TIFF 6.0 specification.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from io import BufferedWriter
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ...errors import InputError
from ..frame import Frame, Pixels, Strips, pixel_bands
from .exif import BYTE, LONG, SHORT, UNDEFINED, Entry, bytes_entry, numbers_entry, parse_exif
from .metadata import Metadata

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
PLANAR, PREDICTOR, EXTRA_SAMPLES, ICC = 284, 317, 338, 34675
XMP, IPTC = 700, 33723

_DEFLATE, _HORIZONTAL, _STRAIGHT_ALPHA = 8, 2, 2
_LEVEL = 4
_STRIP_SAMPLES = 1 << 19
_MAX_BYTES = 2**32 - 2**24  # the rest is for the directory and its profile
_NATIVE = "16L" if sys.byteorder == "little" else "16B"
_OTHER = {"16L": "16B", "16B": "16L"}


def bits_per_sample(image: Image.Image) -> int:
    """Bits of the first sample as the file declares them."""
    value = _tag(image, BITS, 1)
    return value[0] if isinstance(value, tuple) else value


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height before orientation is applied; Pillow's own `size` may be after."""
    width, height = _tag(image, WIDTH, image.width), _tag(image, HEIGHT, image.height)
    if not isinstance(width, int) or not isinstance(height, int):
        raise ValueError("width or height is not a number")
    return width, height


def white_is_zero(image: Image.Image) -> bool:
    """Whether a grey TIFF counts from white to black."""
    return _tag(image, PHOTOMETRIC, 1) == 0


def readable_at_16(image: Image.Image) -> bool:
    """Whether `decode_16` can read an opened image: a TIFF of 16-bit RGB, alpha or not."""
    return _byte_order(image) is not None


def decode_16(
    image: ImageFile.ImageFile, reopen: Callable[[], AbstractContextManager[ImageFile.ImageFile]]
) -> NDArray[np.uint16]:
    """All 16 bits of a TIFF with `readable_at_16`, turned upright: H x W x 3 or 4, alpha straight.

    Pillow undoes tiles and compression, but hands out one byte of each sample: which one depends
    on the byte order it is told, so a second look at the file (`reopen`) gives the other.
    """
    order = _byte_order(image)
    assert order is not None
    premultiplied = _tag(image, EXTRA_SAMPLES, 0) in (1, (1,))
    with reopen() as again:
        high = _unpacked(image, order)
        low = _unpacked(again, _OTHER[order])
    pixels = (high.astype(np.uint16) << np.uint16(8)) | low
    return _divided(pixels) if premultiplied else pixels


def _tag(image: Image.Image, number: int, default: int) -> int | tuple[int, ...]:
    if not isinstance(image, TiffImageFile):
        return default
    return image.tag_v2.get(number, default)


def _unpacking(image: Image.Image) -> tuple[str, str]:
    """How Pillow unpacks the pixels of a TIFF that is opened and not loaded: bands, byte order."""
    args = image.tile[0][3] if isinstance(image, TiffImageFile) and image.tile else None
    rawmode = args[0] if isinstance(args, tuple) and isinstance(args[0], str) else ""
    bands, _, order = rawmode.partition(";")
    return bands, _NATIVE if order == "16N" else order


def _byte_order(image: Image.Image) -> str | None:
    """Which byte of each sample is the high one, "16L" or "16B"; None if `decode_16` cannot read.

    Of planes that libtiff decompresses, it is always Pillow's own choice which byte comes out.
    """
    bands, order = _unpacking(image)
    if not isinstance(image, TiffImageFile) or bits_per_sample(image) != 16:
        return None
    if _tag(image, PLANAR, 1) == 1:
        return order if bands in ("RGB", "RGBX", "RGBA", "RGBa") and order in _OTHER else None
    if bands != "R" or image.mode not in ("RGB", "RGBA"):
        return None
    return "16L" if image.tag_v2.prefix == b"II" else "16B"


def _unpacked(image: ImageFile.ImageFile, order: str) -> NDArray[np.uint8]:
    """The byte of each sample that is the high one in this byte order."""
    image.tile = [_with_order(tile, order) for tile in image.tile]
    array = np.asarray(image)
    return array[..., :3] if image.mode == "RGBX" else array


def _with_order(tile: ImageFile._Tile, order: str) -> ImageFile._Tile:
    args = tile[3]
    assert isinstance(args, tuple)
    bands = args[0].partition(";")[0]
    # "RGBa" would be divided by 8 bits of alpha
    bands = "RGBA" if bands == "RGBa" else bands
    parts = (*tile[:3], (f"{bands};{order}", *args[1:]))
    if type(tile) is tuple:  # before Pillow 11
        return cast("ImageFile._Tile", parts)
    return type(tile)(*parts)


def _divided(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Straight from premultiplied colours."""
    alpha = pixels[..., 3:].astype(np.float64)
    color = pixels[..., :3] * (65535 / np.maximum(alpha, 1))
    straight = np.minimum(np.rint(color), 65535).astype(np.uint16)
    return np.concatenate([straight, pixels[..., 3:]], axis=2)


def write_tiff(
    sink: BufferedWriter, pages: Iterable[tuple[Frame | Strips, Metadata]], bits: int
) -> None:
    """One picture or several pages, deflated, in strips; 16-bit grey with alpha as RGB with alpha.

    (Pillow and others do not read two channels of 16 bits.)
    Raises InputError for what is beyond 4 GiB, where this kind of TIFF ends.
    """
    sink.write(b"II*\0\0\0\0\0")
    pointer = 4  # where the place of the next directory is to be written
    for frame, metadata in pages:
        pointer = _write_page(sink, frame, metadata, bits, pointer)


def _write_page(
    sink: BufferedWriter, frame: Frame | Strips, metadata: Metadata, bits: int, pointer: int
) -> int:
    if frame.channels == 2 and bits == 16:
        frame = frame.mapped(lambda part: Frame(part.color.expand(-1, 3, -1, -1), part.alpha))
    rows = max(1, _STRIP_SAMPLES // (frame.size[0] * frame.channels))
    offsets: list[int] = []
    sizes: list[int] = []
    for strip in _strips(frame, bits, rows):
        offsets.append(sink.tell())
        sizes.append(len(strip))
        sink.write(strip + b"\0" * (len(strip) % 2))
        if sink.tell() > _MAX_BYTES:
            width, height = frame.size
            raise InputError(
                f"{width} x {height} pixels do not fit into a TIFF file (4 GiB); write a .png"
            )
    at = sink.tell()
    exif = parse_exif(metadata.exif).with_dpi(metadata.dpi)
    layout = _layout(frame, metadata, bits)
    layout[ROWS_PER_STRIP] = numbers_entry(LONG, rows)
    layout[STRIP_OFFSETS] = numbers_entry(LONG, *offsets)
    layout[STRIP_BYTES] = numbers_entry(LONG, *sizes)
    data = exif.directories({**exif.main, **layout}, at)
    sink.write(data + b"\0" * (len(data) % 2))
    end = sink.tell()
    sink.seek(pointer)
    sink.write(at.to_bytes(4, "little"))
    sink.seek(end)
    entries = int.from_bytes(data[:2], "little")
    return at + 2 + 12 * entries


def _strips(frame: Frame | Strips, bits: int, rows: int) -> Iterator[bytes]:
    """Deflated strips of so many rows, and a last one of what is left."""
    waiting = np.empty((0, frame.size[0], frame.channels), np.uint8 if bits == 8 else np.uint16)
    for band in pixel_bands(frame, bits):
        waiting = np.concatenate([waiting, band])
        while len(waiting) >= rows:
            yield zlib.compress(_differences(waiting[:rows]), _LEVEL)
            waiting = waiting[rows:]
    if len(waiting):
        yield zlib.compress(_differences(waiting), _LEVEL)


def _differences(rows: Pixels) -> bytes:
    """Each sample less its left neighbour, little-endian: TIFF's horizontal predictor."""
    result = rows.astype(rows.dtype.newbyteorder("<"))
    result[:, 1:] -= rows[:, :-1]
    return result.tobytes()


def _layout(frame: Frame | Strips, metadata: Metadata, bits: int) -> dict[int, Entry]:
    """What says how the pixels are stored, without the strips, and what only TIFF calls a tag."""
    layout = {
        WIDTH: numbers_entry(LONG, frame.size[0]),
        HEIGHT: numbers_entry(LONG, frame.size[1]),
        BITS: numbers_entry(SHORT, *[bits] * frame.channels),
        COMPRESSION: numbers_entry(SHORT, _DEFLATE),
        PHOTOMETRIC: numbers_entry(SHORT, 1 if frame.channels <= 2 else 2),
        SAMPLES: numbers_entry(SHORT, frame.channels),
        PLANAR: numbers_entry(SHORT, 1),
        PREDICTOR: numbers_entry(SHORT, _HORIZONTAL),
    }
    if frame.channels in (2, 4):
        layout[EXTRA_SAMPLES] = numbers_entry(SHORT, _STRAIGHT_ALPHA)
    contents = (
        (ICC, UNDEFINED, metadata.icc_profile),
        (XMP, BYTE, metadata.xmp),
        (IPTC, UNDEFINED, metadata.iptc),
    )
    return layout | {tag: bytes_entry(data, kind) for tag, kind, data in contents if data}
