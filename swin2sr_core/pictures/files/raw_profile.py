"""Profiles in hexadecimal digits, as ImageMagick puts into texts of PNG what has no chunk there."""

from __future__ import annotations

from collections.abc import Iterable

from .png_chunks import PngText

_KEYWORD = "Raw profile type "
_HEX_LINE = 72


def is_one(text: PngText) -> bool:
    """Whether a text holds a profile, of whatever type."""
    return text.keyword.startswith(_KEYWORD)


def find(texts: Iterable[PngText], kind: str) -> bytes | None:
    """The profile of this type ("iptc", "exif"); None if there is none or it is damaged."""
    for each in texts:
        if each.keyword == _KEYWORD + kind:
            parts = each.text.split(None, 2)
            if len(parts) != 3 or not parts[1].isdecimal():
                return None
            try:
                data = bytes.fromhex(parts[2])
            except ValueError:
                return None
            return data if len(data) == int(parts[1]) else None
    return None


def made(kind: str, data: bytes) -> PngText:
    """The text that holds a profile; the inverse of `find`."""
    digits = data.hex()
    lines = "\n".join(digits[at : at + _HEX_LINE] for at in range(0, len(digits), _HEX_LINE))
    return PngText(_KEYWORD + kind, f"\n{kind}\n{len(data):8d}\n{lines}\n")
