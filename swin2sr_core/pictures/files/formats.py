"""The formats that pictures are written in, by the suffix of their names."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError

FORMATS = {
    ".png": "PNG",
    ".apng": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".avif": "AVIF",
}
"""The format that each suffix stands for."""
ANIMATED = frozenset(("PNG", "WEBP", "GIF"))
PAGED = frozenset(("TIFF",))
DEEP = frozenset(("PNG", "TIFF"))
OPAQUE = frozenset(("JPEG", "BMP"))
LOSSY = frozenset(("JPEG", "WEBP", "AVIF"))
"""Formats that take a quality."""


KEPT_BYTES = {"PNG": 0, "TIFF": 0, "BMP": 0, "JPEG": 10, "WEBP": 14, "AVIF": 14, "GIF": 12}
"""Of each pixel that is written, how many bytes the encoder has in memory until the end: none where
rows go into the file as they come, else the samples, Pillow's copy and the encoder's own."""


def format_of(path: Path) -> str:
    """The format of a file name: PNG, JPEG, WEBP, TIFF, BMP, GIF or AVIF; InputError for others."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(
            f"cannot tell the format of {path.name}; end its name with one of {', '.join(FORMATS)}"
        )
    return kind
