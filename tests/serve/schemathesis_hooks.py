"""What schemathesis sends as a picture; the command is told of this file by SCHEMATHESIS_HOOKS."""

import struct
import zlib

import schemathesis  # pyright: ignore[reportMissingImports]
from hypothesis import strategies as st


def png(width, height, value):
    """A grey picture; schemathesis lives in an environment without Pillow."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + bytes([value]) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


side = st.integers(1, 8)
schemathesis.openapi.format("binary", st.builds(png, side, side, st.integers(0, 255)))
