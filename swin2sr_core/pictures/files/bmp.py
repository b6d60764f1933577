"""BMP: grey in a palette or RGB, uncompressed, written band by band.

(Pillow wants the whole picture, and says 96 dpi where nothing was said.) Layout as Microsoft
documents BITMAPFILEHEADER and BITMAPINFOHEADER; the last row comes first.
"""

from __future__ import annotations

import struct
from io import BufferedWriter

import numpy as np

from ..frame import Frame, Strips, pixel_bands
from .metadata import Metadata

_HEADERS_BYTES = 14 + 40
_PER_METER = 0.0254


def write_bmp(sink: BufferedWriter, frame: Frame | Strips, metadata: Metadata) -> None:
    """One picture without alpha."""
    width, height = frame.size
    grey = frame.channels == 1
    palette = b"".join(bytes((level, level, level, 0)) for level in range(256)) if grey else b""
    row_bytes = width * frame.channels
    padding = -row_bytes % 4
    start = _HEADERS_BYTES + len(palette)
    pixels_bytes = (row_bytes + padding) * height
    x, y = (round(dpi / _PER_METER) for dpi in metadata.dpi or (0, 0))
    colors = len(palette) // 4
    sink.write(struct.pack("<2sIII", b"BM", start + pixels_bytes, 0, start))
    sink.write(
        struct.pack(
            "<IiiHHIIiiII",
            *(40, width, height, 1, 8 * frame.channels),
            *(0, pixels_bytes, x, y, colors, colors),
        )
    )
    sink.write(palette)
    left = height
    for band in pixel_bands(frame):
        left -= len(band)
        rows = band[::-1, :, ::-1].reshape(len(band), row_bytes)  # blue comes first
        sink.seek(start + left * (row_bytes + padding))
        sink.write(np.pad(rows, ((0, 0), (0, padding))).tobytes())
    sink.seek(start + pixels_bytes)
