"""XMP packets, and what in them is no longer true after turning and upscaling.

Properties are those of Adobe's XMP specification, part 2: as an attribute of the description
(`tiff:ImageWidth="640"`) or as an element (`<tiff:ImageWidth>640</tiff:ImageWidth>`).
"""

from __future__ import annotations

import re

from .notices import Notices

_TIFF, _EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
_XMP, _NOTE = "http://ns.adobe.com/xap/1.0/", "http://ns.adobe.com/xmp/note/"
_WIDTHS = ((_TIFF, "ImageWidth"), (_EXIF, "PixelXDimension"))
_HEIGHTS = ((_TIFF, "ImageLength"), (_EXIF, "PixelYDimension"))


def upright(packet: bytes | None, notices: Notices) -> bytes | None:
    """The packet of a picture that was turned upright, without thumbnails of what it was.

    None for a packet that is not UTF-8, with a notice.
    """
    if not packet:
        return None
    try:
        text = packet.decode("utf-8-sig").strip("\0")
    except UnicodeDecodeError:
        notices.tell("has XMP in another encoding than UTF-8; it is left out")
        return None
    text = _with_value(text, _TIFF, "Orientation", "1")
    for space, name in ((_XMP, "Thumbnails"), (_NOTE, "HasExtendedXMP")):
        text = _without(text, space, name)
    return text.encode() or None


def orientation(packet: bytes | None) -> int | None:
    """What the packet says of turning, 1 to 8 as EXIF numbers it; None where it says nothing."""
    text = (packet or b"").decode("utf-8", "replace")
    for prefix in _prefixes(text, _TIFF):
        name = re.escape(f"{prefix}:Orientation")
        found = re.search(rf"\s{name}\s*=\s*[\"']([1-8])[\"']|<{name}>\s*([1-8])\s*<", text)
        if found:
            return int(found[1] or found[2])
    return None


def sized(packet: bytes | None, width: int, height: int) -> bytes | None:
    """The packet with the size of the upscaled picture where it tells one."""
    if packet is None:
        return None
    text = packet.decode()
    for value, properties in ((width, _WIDTHS), (height, _HEIGHTS)):
        for space, name in properties:
            text = _with_value(text, space, name, str(value))
    return text.encode()


def _prefixes(text: str, space: str) -> list[str]:
    """The names that the packet gives to a namespace."""
    pattern = rf"xmlns:([\w.-]{{1,64}})\s*=\s*[\"']{re.escape(space)}[\"']"
    return sorted(set(re.findall(pattern, text)))


def _with_value(text: str, space: str, name: str, value: str) -> str:
    for prefix in _prefixes(text, space):
        full = re.escape(f"{prefix}:{name}")
        text = re.sub(rf"(\s{full}\s*=\s*)([\"'])[^\"'<]*\2", rf"\g<1>\g<2>{value}\g<2>", text)
        text = re.sub(rf"(<{full}(?:\s[^<>]*)?>)[^<]*(</{full}\s*>)", rf"\g<1>{value}\g<2>", text)
    return text


def _without(text: str, space: str, name: str) -> str:
    for prefix in _prefixes(text, space):
        full = re.escape(f"{prefix}:{name}")
        text = re.sub(rf"\s{full}\s*=\s*([\"'])[^\"'<]*\1", "", text)
        text = _without_element(text, f"{prefix}:{name}")
    return text


def _without_element(text: str, name: str) -> str:
    start, end = text.find(f"<{name}"), text.find(f"</{name}>")
    return text[:start] + text[end + len(name) + 3 :] if 0 <= start < end else text
