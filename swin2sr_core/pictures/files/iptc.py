"""IPTC's captions, keywords and credits (IIM) in Photoshop's blocks.

In a JPEG, and in some TIFF and PNG files, they are resource 0x0404 of such a block (Adobe,
Photoshop File Formats).
"""

from __future__ import annotations

import struct

RESOURCE = 0x0404
_SIGNATURE = b"8BIM"


def from_photoshop(block: bytes) -> bytes | None:
    """The IIM records in the resources of a Photoshop block; None if there are none."""
    at = 0
    while block[at : at + 4] == _SIGNATURE and len(block) >= at + 12:
        number = int.from_bytes(block[at + 4 : at + 6], "big")
        name_bytes = block[at + 6] + 1
        at += 6 + name_bytes + name_bytes % 2
        size = int.from_bytes(block[at : at + 4], "big")
        content = block[at + 4 : at + 4 + size]
        if number == RESOURCE and len(content) == size:
            return content or None
        at += 4 + size + size % 2
    return None


def to_photoshop(records: bytes) -> bytes:
    """A Photoshop block with these IIM records alone; the inverse of `from_photoshop`."""
    head = _SIGNATURE + struct.pack(">HHI", RESOURCE, 0, len(records))
    return head + records + b"\0" * (len(records) % 2)
