"""The segments of a JPEG file, before anything is decoded: scans, comment, XMP, IPTC.

Markers are those of ITU-T T.81; XMP and IPTC stand in them as Adobe's specifications say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..limits import JPEG_SCANS
from .iptc import from_photoshop
from .source import Source

XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
PHOTOSHOP_MARK = b"Photoshop 3.0\0"
MAX_SEGMENT = 65533
"""The most bytes that one segment holds."""

_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_APP1, _APP13, _COMMENT, _SCAN, _END, _START = 0xE1, 0xED, 0xFE, 0xDA, 0xD9, 0xD8
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # not stuffed, no restart
_READ_BYTES = 1 << 20


@dataclass
class JpegSegments:
    """What a JPEG tells besides its pixels; `scans` are at most one more than the limit."""

    scans: int = 0
    comment: bytes | None = None
    xmp: bytes | None = None
    extended_xmp: bool = False
    iptc: bytes | None = None


def read_segments(source: Source) -> JpegSegments:
    """Walk over the segments of the first picture; a damaged tail is passed over here."""
    found = JpegSegments()
    photoshop = bytearray()
    with source.open() as file:
        file.seek(2)
        for marker, content in _segments(file):
            if marker == _SCAN:
                found.scans += 1
                if found.scans > JPEG_SCANS:
                    break
            elif marker == _COMMENT:
                found.comment = found.comment or content or None
            elif marker == _APP1 and content.startswith(XMP_MARK):
                found.xmp = found.xmp or content[len(XMP_MARK) :]
            elif marker == _APP1 and content.startswith(_EXTENDED_XMP):
                found.extended_xmp = True
            elif marker == _APP13 and content.startswith(PHOTOSHOP_MARK):
                photoshop += content[len(PHOTOSHOP_MARK) :]
    found.iptc = from_photoshop(bytes(photoshop))
    return found


def _segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Markers that have a length, with what is in them."""
    while len(pair := file.read(2)) == 2:
        if pair[0] != 0xFF or pair[1] in (0xFF, 0x00):
            file.seek(-1, 1)
            if not _skip_to_marker(file):
                return
            continue
        marker = pair[1]
        if marker == _END:
            return
        if marker in _ALONE or marker == _START:
            continue
        length = int.from_bytes(file.read(2), "big")
        if length < 2:
            return
        yield marker, file.read(length - 2)
        if marker == _SCAN and not _skip_to_marker(file):
            return


def _skip_to_marker(file: BinaryIO) -> bool:
    """Stand on the next marker behind compressed data; False at the end of the file."""
    while data := file.read(_READ_BYTES):
        if match := _MARKER.search(data):
            file.seek(match.end() - 2 - len(data), 1)
            return True
        if len(data) < _READ_BYTES:
            return False
        file.seek(-1, 1)  # a marker may lie across
    return False
