"""The blocks of a GIF file, before anything is decoded: frames, sizes, comment, XMP.

Blocks are those of the GIF89a specification; XMP stands there as Adobe's specification says
(XMP part 3, section 1.1.2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from ..limits import TEXT_BYTES
from .source import Source, Span

XMP_NAME = b"XMP DataXMP"
XMP_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
"""What ends the packet for a reader that takes it for blocks with lengths before them."""

_COMMENT, _APPLICATION, _EXTENSION, _IMAGE, _END = 0xFE, 0xFF, 0x21, 0x2C, 0x3B
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


@dataclass
class GifBlocks:
    """What a GIF tells besides its pixels.

    frames: at most one more than was asked for; extent: the right and lower end of the frame that
    reaches furthest, which may lie outside of the canvas; spans: all that a decoder needs.
    """

    frames: int = 0
    extent: tuple[int, int] = (0, 0)
    comment: bytes | None = None
    xmp: bytes | None = None
    spans: list[Span] = field(default_factory=list)


def read_blocks(source: Source, max_frames: int) -> GifBlocks:
    """Walk over the blocks of a GIF; a damaged tail is passed over here."""
    found = GifBlocks()
    with source.open() as file:
        head = file.read(13)
        flags = head[10] if len(head) == 13 else 0
        file.seek(13 + _table_bytes(flags))
        start = 0
        while found.frames <= max_frames and (mark := file.read(1)):
            at = file.tell() - 1
            if mark[0] == _IMAGE:
                _read_image(file, found)
            elif mark[0] == _EXTENSION:
                if _read_extension(file, found):
                    found.spans.append((start, at))
                    start = file.tell()
            elif mark[0] == _END:
                break
        found.spans.append((start, file.seek(0, 2)))
    return found


def _table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _read_image(file: BinaryIO, found: GifBlocks) -> None:
    head = file.read(9)
    if len(head) < 9:
        return
    x, y, width, height, flags = struct.unpack("<HHHHB", head)
    found.frames += 1
    found.extent = max(found.extent[0], x + width), max(found.extent[1], y + height)
    file.seek(_table_bytes(flags) + 1, 1)
    for _ in _blocks(file, keep=False):
        pass


def _read_extension(file: BinaryIO, found: GifBlocks) -> bool:
    """Read one; whether it is to be hidden from the decoder, which joins texts block by block."""
    label = file.read(1)
    if label == bytes([_COMMENT]):
        comment = _joined(_blocks(file, keep=True))
        if comment:
            known = found.comment
            both = comment if known is None or known == comment else known + b"\n" + comment
            found.comment = both[:TEXT_BYTES]
        return True
    if label != bytes([_APPLICATION]):
        for _ in _blocks(file, keep=False):
            pass
        return False
    at = file.tell()
    name = file.read(12)[1:]
    if name == XMP_NAME:
        found.xmp = found.xmp or _packet(file)
        return True
    file.seek(at)
    for _ in _blocks(file, keep=False):
        pass
    return name not in _LOOPS


def _packet(file: BinaryIO) -> bytes | None:
    """XMP as it stands, its bytes taken for lengths of blocks up to the trailer."""
    start = file.tell()
    for _ in _blocks(file, keep=False):
        pass
    end = file.tell()
    if end - start > TEXT_BYTES:
        return None
    file.seek(start)
    packet = file.read(end - start).removesuffix(XMP_TRAILER[-1:])
    return packet.removesuffix(XMP_TRAILER[:-1]) or None


def _blocks(file: BinaryIO, *, keep: bool) -> Iterator[bytes]:
    while (length := file.read(1)) and length[0]:
        if keep:
            yield file.read(length[0])
        else:
            file.seek(length[0], 1)


def _joined(blocks: Iterator[bytes]) -> bytes:
    """All of a text, up to the cap."""
    kept = bytearray()
    for block in blocks:
        if len(kept) < TEXT_BYTES:
            kept += block
    return bytes(kept[:TEXT_BYTES])
