"""PNG: 16-bit samples read whole (Pillow gives 8 of them), and pictures and animations written.

Names of chunks and filters are those of the PNG specification, third edition (W3C, 2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from io import BufferedWriter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..frame import Frame, Pixels, Strips, pixel_bands
from .animation import Box, changed_box, frame_durations
from .metadata import Metadata
from .png_chunks import CHANNELS_OF_TYPE, SIGNATURE, XMP_KEYWORD, PngHeader, PngText
from .source import Source

_TYPE_OF_CHANNELS = {channels: kind for kind, channels in CHANNELS_OF_TYPE.items()}
_LEVEL = 4  # of zlib: 6 takes three times as long for one part in twenty
_CHUNK_BYTES = 1 << 18
_PER_METER = 0.0254
_MAX_DELAY = 65535
_COMMENT = b"Comment"


def decode_16(source: Source, header: PngHeader) -> NDArray[np.uint16]:
    """All 16 bits of a PNG with `header.readable_at_16`: H x W x C, a transparent colour as alpha.

    Pillow's decoder undoes compression, filters and interlacing, but hands out one byte of each
    sample: which one depends on the byte order it is told, so two turns give both.
    Raises ValueError or zlib.error where the file is damaged.
    """
    data = b"".join(_image_data(source))
    size = (header.width, header.height)

    def decoded(mode: str, rawmode: str) -> NDArray[np.uint8]:
        image = Image.frombytes(mode, size, data, "zip", rawmode, int(header.interlaced))
        return np.asarray(image)

    channels = CHANNELS_OF_TYPE[header.color_type]
    if channels <= 2:  # the bytes of one or two samples are the bands of LA or RGBA
        mode = {1: "LA", 2: "RGBA"}[channels]
        pairs = decoded(mode, mode)
        high, low = pairs[..., 0::2], pairs[..., 1::2]
    else:
        mode = {3: "RGB", 4: "RGBA"}[channels]
        high, low = decoded(mode, f"{mode};16B"), decoded(mode, f"{mode};16L")
    pixels = (high.astype(np.uint16) << np.uint16(8)) | low
    return _keyed(pixels, header.chunks.get(b"tRNS"))


def _image_data(source: Source) -> Iterator[bytes]:
    with source.open() as file:
        file.seek(len(SIGNATURE))
        while True:
            length, name = struct.unpack(">I4s", file.read(8))
            if name == b"IEND":
                return
            if name != b"IDAT":
                file.seek(length + 4, 1)
                continue
            content, check = file.read(length), file.read(4)
            if zlib.crc32(name + content).to_bytes(4, "big") != check:
                raise ValueError("the check sum of the image data is wrong")
            yield content


def _keyed(pixels: NDArray[np.uint16], key: bytes | None) -> NDArray[np.uint16]:
    """Add alpha that is 0 where a pixel has the colour of the tRNS chunk."""
    channels = pixels.shape[2]
    if key is None or channels not in (1, 3) or len(key) != 2 * channels:
        return pixels
    visible = (pixels != np.frombuffer(key, ">u2")).any(axis=2, keepdims=True)
    return np.concatenate([pixels, visible * np.uint16(65535)], axis=2)


def write_png(sink: BufferedWriter, frame: Frame | Strips, metadata: Metadata, bits: int) -> None:
    """One picture, encoded band by band."""
    _write_preamble(sink, frame.size, frame.channels, bits, metadata)
    for data in _deflated(pixel_bands(frame, bits)):
        _write_chunk(sink, b"IDAT", data)
    _write_chunk(sink, b"IEND", b"")


def write_apng(sink: BufferedWriter, frames: Iterable[Pixels], metadata: Metadata) -> None:
    """An animation: every frame stores the box that differs from the one before it."""
    durations = frame_durations(metadata.durations)
    previous: Pixels | None = None
    count_at = sequence = count = 0
    for pixels in frames:
        if previous is None:
            height, width, channels = pixels.shape
            bits = pixels.itemsize * 8
            _write_preamble(sink, (width, height), channels, bits, metadata)
            count_at = sink.tell()
            _write_chunk(sink, b"acTL", struct.pack(">II", 0, metadata.loop))
        box = changed_box(previous, pixels)
        _write_chunk(sink, b"fcTL", _frame_control(sequence, box, next(durations)))
        sequence += 1
        for data in _deflated([pixels[box.y0 : box.y1, box.x0 : box.x1]]):
            if previous is None:
                _write_chunk(sink, b"IDAT", data)
            else:
                _write_chunk(sink, b"fdAT", struct.pack(">I", sequence) + data)
                sequence += 1
        previous, count = pixels, count + 1
    _write_chunk(sink, b"IEND", b"")
    sink.seek(count_at)  # only now is it known how many there are
    _write_chunk(sink, b"acTL", struct.pack(">II", count, metadata.loop))


def _write_chunk(sink: BufferedWriter, name: bytes, content: bytes) -> None:
    sink.write(struct.pack(">I", len(content)) + name)
    sink.write(content)
    sink.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))


def _write_preamble(
    sink: BufferedWriter, size: tuple[int, int], channels: int, bits: int, metadata: Metadata
) -> None:
    sink.write(SIGNATURE)
    kind = _TYPE_OF_CHANNELS[channels]
    _write_chunk(sink, b"IHDR", struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0))
    for name, content in metadata.png_color:
        if not (name == b"sRGB" and metadata.icc_profile):  # the two exclude each other
            _write_chunk(sink, name, content)
    if metadata.icc_profile:
        profile = b"ICC Profile\0\0" + zlib.compress(metadata.icc_profile)
        _write_chunk(sink, b"iCCP", profile)
    if metadata.dpi:
        x, y = (round(dpi / _PER_METER) for dpi in metadata.dpi)
        _write_chunk(sink, b"pHYs", struct.pack(">IIB", x, y, 1))
    if metadata.exif:
        _write_chunk(sink, b"eXIf", metadata.exif)
    if metadata.xmp:
        _write_text(sink, PngText(XMP_KEYWORD, metadata.xmp.decode()), international=True)
    for text in metadata.texts:
        _write_text(sink, text)


def _write_text(sink: BufferedWriter, text: PngText, *, international: bool = False) -> None:
    """Not compressed, as most programs that look for a workflow want it."""
    keyword = text.keyword.encode("latin-1", "replace").replace(b"\0", b" ")[:79] or _COMMENT
    plain = not (international or text.language or text.translated or "\0" in text.text)
    try:
        content = text.text.encode("latin-1") if plain else None
    except UnicodeEncodeError:
        content = None
    if content is not None:
        _write_chunk(sink, b"tEXt", keyword + b"\0" + content)
        return
    language = text.language.encode("ascii", "ignore").replace(b"\0", b"")
    translated = text.translated.encode("utf-8", "replace").replace(b"\0", b" ")
    content = text.text.encode("utf-8", "replace")
    head = keyword + b"\0\0\0" + language + b"\0" + translated + b"\0"
    _write_chunk(sink, b"iTXt", head + content)


def _frame_control(sequence: int, box: Box, milliseconds: float) -> bytes:
    delay = Fraction(milliseconds / 1000)
    limit = 1000
    while (short := delay.limit_denominator(limit)).numerator > _MAX_DELAY and limit > 1:
        limit //= 10
    numerator = min(short.numerator, _MAX_DELAY)
    place = (box.x1 - box.x0, box.y1 - box.y0, box.x0, box.y0)
    return struct.pack(">IIIIIHHBB", sequence, *place, numerator, short.denominator, 0, 0)


def _deflated(bands: Iterable[Pixels]) -> Iterator[bytes]:
    """The bands' rows, filtered and compressed, in pieces of a good size for a chunk."""
    packer = zlib.compressobj(_LEVEL)
    above: NDArray[np.uint8] | None = None
    ready = bytearray()
    for band in bands:
        rows = np.ascontiguousarray(band, band.dtype.newbyteorder(">"))
        rows = rows.view(np.uint8).reshape(band.shape[0], -1)
        before = np.zeros_like(rows[0]) if above is None else above
        ready += packer.compress(_filtered(rows, before, band.shape[2] * band.itemsize))
        above = rows[-1]
        if len(ready) >= _CHUNK_BYTES:
            yield bytes(ready)
            ready.clear()
    yield bytes(ready + packer.flush())


def _filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8], stride: int) -> bytes:
    """Each row with the filter, of Sub, Up and Paeth, whose result is smallest in sum.

    rows: N x bytes; above: the row before them; stride: bytes from a sample to its left neighbour.
    """
    up = np.concatenate([above[None], rows[:-1]])
    left, up_left = np.zeros_like(rows), np.zeros_like(rows)
    left[:, stride:] = rows[:, :-stride]
    up_left[:, stride:] = up[:, :-stride]
    predictors: dict[int, Callable[[], NDArray[np.uint8]]] = {
        1: lambda: left,
        2: lambda: up,
        4: lambda: _paeth(left, up, up_left),
    }
    result = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    least = np.full(rows.shape[0], np.iinfo(np.int64).max)
    for number, predictor in predictors.items():
        residue = rows - predictor()
        cost = np.abs(residue.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64)
        better = cost < least
        least[better] = cost[better]
        result[better, 0] = number
        result[better, 1:] = residue[better]
    return result.tobytes()


def _paeth(
    left: NDArray[np.uint8], up: NDArray[np.uint8], up_left: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    a, b, c = (part.astype(np.int16) for part in (left, up, up_left))
    to_left, to_up, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest_up = np.where(to_up <= to_corner, up, up_left)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest_up)
