"""TIFF: 16-bit samples read whole (Pillow gives 8 of them), and pictures written.

Tags are numbered as in the TIFF 6.0 specification.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from io import BufferedWriter
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from swin2sr_core.errors import InputError
from swin2sr_core.frame import Frame, Pixels, pixel_bands
from swin2sr_core.metadata import EXIF_IFD, GPS_IFD, Metadata, parse_exif, with_dpi

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
PLANAR, PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, ICC = 284, 317, 338, 339, 34675

_DEFLATE, _HORIZONTAL, _STRAIGHT_ALPHA = 8, 2, 2
_LEVEL = 4
_STRIP_SAMPLES = 1 << 19
_MAX_BYTES = 2**32 - 1
_NATIVE = "16L" if sys.byteorder == "little" else "16B"
_OTHER = {"16L": "16B", "16B": "16L"}


class _RawModes(NamedTuple):
    """How Pillow has to be told to unpack the high and the low bytes of 16-bit samples."""

    high: str
    low: str


def bits_per_sample(image: Image.Image) -> int:
    """Bits of the first sample as the file declares them."""
    value = _tag(image, BITS, 1)
    return value[0] if isinstance(value, tuple) else value


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height before orientation is applied; Pillow's own `size` may be after."""
    width, height = _tag(image, WIDTH, image.width), _tag(image, HEIGHT, image.height)
    assert isinstance(width, int) and isinstance(height, int)
    return width, height


def white_is_zero(image: Image.Image) -> bool:
    """Whether a grey TIFF counts from white to black."""
    return _tag(image, PHOTOMETRIC, 1) == 0


def readable_at_16(image: Image.Image) -> bool:
    """Whether `decode_16` can read an opened image: a TIFF of 16-bit RGB, alpha or not."""
    return _raw_modes(image) is not None


def decode_16(
    image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile]
) -> NDArray[np.uint16]:
    """All 16 bits of a TIFF with `readable_at_16`, turned upright: H x W x 3 or 4, alpha straight.

    Pillow undoes tiles and compression, but hands out one byte of each sample: which one depends
    on the byte order it is told, so a second look at the file (`reopen`) gives the other.
    """
    modes = _raw_modes(image)
    assert modes is not None
    premultiplied = _unpacking(image).startswith("RGBa")
    with reopen() as again:
        high = _unpacked(image, modes.high)
        low = _unpacked(again, modes.low)
    pixels = (high.astype(np.uint16) << np.uint16(8)) | low
    return _divided(pixels) if premultiplied else pixels


def _tag(image: Image.Image, number: int, default: int) -> int | tuple[int, ...]:
    if not isinstance(image, TiffImageFile):
        return default
    return image.tag_v2.get(number, default)


def _unpacking(image: Image.Image) -> str:
    """Pillow's raw mode for the pixels of a TIFF that is opened and not loaded."""
    args = image.tile[0][3] if isinstance(image, TiffImageFile) and image.tile else None
    return args[0] if isinstance(args, tuple) and isinstance(args[0], str) else ""


def _raw_modes(image: Image.Image) -> _RawModes | None:
    mode, _, order = _unpacking(image).partition(";")
    if mode not in ("RGB", "RGBX", "RGBA", "RGBa") or _tag(image, PLANAR, 1) != 1:
        return None
    order = _NATIVE if order == "16N" else order
    if order not in _OTHER:
        return None
    mode = "RGBA" if mode == "RGBa" else mode  # its own unpacking divides by 8 bits of alpha
    return _RawModes(f"{mode};{order}", f"{mode};{_OTHER[order]}")


def _unpacked(image: ImageFile.ImageFile, rawmode: str) -> NDArray[np.uint8]:
    image.tile = [_replaced(tile, rawmode) for tile in image.tile]
    array = np.asarray(image)
    return array[..., :3] if rawmode.startswith("RGBX") else array


def _replaced(tile: ImageFile._Tile, rawmode: str) -> ImageFile._Tile:
    args = tile[3]
    assert isinstance(args, tuple)
    parts = (*tile[:3], (rawmode, *args[1:]))
    if type(tile) is tuple:  # before Pillow 11
        return cast("ImageFile._Tile", parts)
    return type(tile)(*parts)


def _divided(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Straight from premultiplied colours."""
    alpha = pixels[..., 3:].astype(np.float64)
    color = pixels[..., :3] * (65535 / np.maximum(alpha, 1))
    straight = np.minimum(np.rint(color), 65535).astype(np.uint16)
    return np.concatenate([straight, pixels[..., 3:]], axis=2)


def write_tiff(sink: BufferedWriter, frame: Frame, metadata: Metadata, bits: int) -> None:
    """One picture, deflated, in strips; 16-bit grey with alpha as RGB with alpha.

    (Pillow and others do not read two channels of 16 bits.)
    Raises InputError for a picture beyond 4 GiB, where this kind of TIFF ends.
    """
    if frame.channels == 2 and bits == 16:
        frame = Frame(frame.color.expand(-1, 3, -1, -1), frame.alpha)
    rows = max(1, _STRIP_SAMPLES // (frame.size[0] * frame.channels))
    strips = [
        zlib.compress(_differences(band[top : top + rows]), _LEVEL)
        for band in pixel_bands(frame, bits)
        for top in range(0, len(band), rows)
    ]
    if sum(map(len, strips)) > _MAX_BYTES - (1 << 24):
        raise InputError(
            f"{frame.size[0]} x {frame.size[1]} pixels do not fit into a TIFF file (4 GiB); "
            "write a .png"
        )
    directory = _directory(frame, metadata, bits)
    directory[ROWS_PER_STRIP] = rows
    directory[STRIP_BYTES] = tuple(map(len, strips))
    ends = np.cumsum([0, *map(len, strips)])
    directory[STRIP_OFFSETS] = tuple(map(int, ends[:-1]))  # counted from the directory's end
    directory.save(sink)
    for strip in strips:
        sink.write(strip)


def _differences(rows: Pixels) -> bytes:
    """Each sample less its left neighbour, little-endian: TIFF's horizontal predictor."""
    result = rows.astype(rows.dtype.newbyteorder("<"))
    result[:, 1:] -= rows[:, :-1]
    return result.tobytes()


def _directory(frame: Frame, metadata: Metadata, bits: int) -> ImageFileDirectory_v2:
    directory = ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    exif = with_dpi(parse_exif(metadata.exif), metadata.dpi)
    for tag in exif:
        directory[tag] = exif[tag]
    for tag in (EXIF_IFD, GPS_IFD):
        if tag in exif:
            directory[tag] = exif.get_ifd(tag)
    directory[WIDTH], directory[HEIGHT] = frame.size
    directory[BITS] = (bits,) * frame.channels
    directory[COMPRESSION] = _DEFLATE
    directory[PHOTOMETRIC] = 1 if frame.color.shape[1] == 1 else 2
    directory[SAMPLES] = frame.channels
    directory[PLANAR] = 1
    directory[PREDICTOR] = _HORIZONTAL
    if frame.alpha is not None:
        directory[EXTRA_SAMPLES] = _STRAIGHT_ALPHA
    if metadata.icc_profile:
        directory.tagtype[ICC] = 7  # undefined, i.e. bytes
        directory[ICC] = metadata.icc_profile
    return directory
