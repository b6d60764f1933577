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


def format_of(path: Path) -> str:
    """The format of a file name: PNG, JPEG, WEBP, TIFF, BMP, GIF or AVIF; InputError for others."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(
            f"cannot tell the format of {path.name}; end its name with one of {', '.join(FORMATS)}"
        )
    return kind
