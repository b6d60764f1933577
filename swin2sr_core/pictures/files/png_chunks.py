"""The chunks of a PNG file, before anything is decoded: sizes, colour, texts, and what to show.

Names of chunks are those of the PNG specification, third edition (W3C, 2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from ...errors import InputError
from ..limits import ALL_TEXT_BYTES, PNG_CHUNKS, PROFILE_BYTES, TEXT_BYTES
from .notices import Notices
from .source import Source, Span

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_CHUNKS = (b"cICP", b"mDCV", b"cLLI", b"cHRM", b"gAMA", b"sRGB")
CHANNELS_OF_TYPE = {0: 1, 4: 2, 2: 3, 6: 4}
XMP_KEYWORD = "XML:com.adobe.xmp"

_SMALL = frozenset((b"acTL", b"tRNS", *COLOR_CHUNKS))
_TEXTS = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_FOR_PILLOW = frozenset((b"tRNS", b"acTL", b"fcTL", b"fdAT", b"pHYs"))
_SMALL_BYTES = 4096
_PIECE_BYTES = 1 << 16


class PngText(NamedTuple):
    """One text: what it is, itself, and for iTXt its language and the keyword in it."""

    keyword: str
    text: str
    language: str = ""
    translated: str = ""


@dataclass
class PngHeader:
    """What a PNG file tells besides its pixels; `spans` are all that a decoder needs."""

    width: int = 0
    height: int = 0
    depth: int = 0
    color_type: int = 0
    interlaced: bool = False
    chunks: dict[bytes, bytes] = field(default_factory=dict)
    texts: list[PngText] = field(default_factory=list)
    profile: bytes | None = None
    exif: bytes | None = None
    frames: int = 0
    unpacked: int = 0
    spans: list[Span] = field(default_factory=list)

    @property
    def readable_at_16(self) -> bool:
        """Whether `png.decode_16` can read it: 16 bits a sample, and not an animation."""
        return self.depth == 16 and self.color_type in CHANNELS_OF_TYPE and not self.animated

    @property
    def grey(self) -> bool:
        """Whether its samples are brightness, alpha or not."""
        return self.color_type in (0, 4)

    @property
    def animated(self) -> bool:
        return b"acTL" in self.chunks

    @property
    def claimed_frames(self) -> int:
        """The more of what the animation's header claims and what is there."""
        return max(1, self.frames, int.from_bytes(self.chunks.get(b"acTL", b"")[:4], "big"))


class _Chunk(NamedTuple):
    name: bytes
    start: int  # of the whole chunk
    length: int  # of its content

    @property
    def end(self) -> int:
        return self.start + self.length + 12


def read_header(source: Source, notices: Notices) -> PngHeader:
    """The header of a PNG file, wherever its chunks stand; a damaged tail is passed over here.

    Raises InputError for a file with two headers, ValueError for one without.
    """
    header = PngHeader(spans=[(0, len(SIGNATURE))])
    with source.open() as file:
        for chunk in _chunks(file):
            if chunk.name == b"IHDR":
                _read_size(file, chunk, header, source)
            elif chunk.name in _TEXTS or chunk.name in (b"iCCP", b"eXIf"):
                _read_ancillary(file, chunk, header, notices)
            elif chunk.name in _SMALL and chunk.length <= _SMALL_BYTES:
                header.chunks.setdefault(chunk.name, _content(file, chunk))
            header.frames += chunk.name == b"fcTL"
            critical = not chunk.name[0] & 0x20
            if critical or chunk.name in _FOR_PILLOW:
                _add_span(header.spans, (chunk.start, chunk.end))
    if not header.width:
        raise ValueError("it has no header")
    return header


def _chunks(file: BinaryIO) -> Iterator[_Chunk]:
    at = file.seek(len(SIGNATURE))
    for _ in range(PNG_CHUNKS):
        file.seek(at)
        if len(head := file.read(8)) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        yield _Chunk(name, at, length)
        if name == b"IEND":
            return
        at += length + 12
    raise ValueError(f"it has more than {PNG_CHUNKS:,} chunks")


def _add_span(spans: list[Span], span: Span) -> None:
    if spans[-1][1] == span[0]:
        spans[-1] = (spans[-1][0], span[1])
    else:
        spans.append(span)


def _content(file: BinaryIO, chunk: _Chunk) -> bytes:
    file.seek(chunk.start + 8)
    return file.read(chunk.length)


def _read_size(file: BinaryIO, chunk: _Chunk, header: PngHeader, source: Source) -> None:
    if header.width:
        raise InputError(
            f"{source.name} has two headers (IHDR) that may tell different sizes, as no writer of "
            "PNG makes it; open and save it in a program that you trust"
        )
    if chunk.start != len(SIGNATURE) or chunk.length != 13:
        raise ValueError("it does not begin with its header")
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", _content(file, chunk))
    header.width, header.height, header.depth = width, height, depth
    header.color_type, header.interlaced = kind, bool(interlaced)


def _read_ancillary(file: BinaryIO, chunk: _Chunk, header: PngHeader, notices: Notices) -> None:
    """Texts, the profile and EXIF: what is too large or damaged is left out with a notice."""
    name = chunk.name.decode("ascii")
    if chunk.length > TEXT_BYTES:
        notices.tell(f"has {chunk.length:,} bytes in a {name} chunk; it is left out")
        return
    content, check = _content(file, chunk), file.read(4)
    if zlib.crc32(chunk.name + content).to_bytes(4, "big") != check:
        notices.tell(f"has a damaged {name} chunk; it is left out")
        return
    try:
        _take(chunk.name, content, header)
    except OverflowError as error:
        notices.tell(f"has more than {error} bytes in a {name} chunk; it is left out")
    except (ValueError, zlib.error) as error:
        notices.tell(f"has a damaged {name} chunk ({error}); it is left out")


def _take(name: bytes, content: bytes, header: PngHeader) -> None:
    if name == b"eXIf":
        header.exif = header.exif or content
    elif name == b"iCCP":
        _, method, packed = _split(content, 1)
        room = min(PROFILE_BYTES, ALL_TEXT_BYTES - header.unpacked)
        header.profile = header.profile or _counted(header, room, packed, method)
    else:
        room = min(TEXT_BYTES, ALL_TEXT_BYTES - header.unpacked)
        try:
            text = _text(name, content, room)
        except OverflowError:
            header.unpacked += room
            raise
        header.unpacked += len(text.text)
        header.texts.append(text)


def _counted(header: PngHeader, room: int, packed: bytes, method: bytes) -> bytes:
    """A profile, unpacked; what turned out too large has cost as much as there was room for."""
    try:
        return _inflated(packed, method, room)
    except OverflowError:
        header.unpacked += room
        raise


def _text(name: bytes, content: bytes, room: int) -> PngText:
    keyword, _, rest = content.partition(b"\0")
    key = keyword.decode("latin-1")
    if name == b"tEXt":
        return PngText(key, _within(rest, room).decode("latin-1"))
    if name == b"zTXt":
        return PngText(key, _inflated(rest[1:], rest[:1], room).decode("latin-1"))
    packed, method = rest[:1] == b"\1", rest[1:2]
    language, _, rest = rest[2:].partition(b"\0")
    translated, _, rest = rest.partition(b"\0")
    text = _inflated(rest, method, room) if packed else _within(rest, room)
    return PngText(key, text.decode(), language.decode("latin-1"), translated.decode())


def _split(content: bytes, count: int) -> tuple[bytes, bytes, bytes]:
    keyword, _, rest = content.partition(b"\0")
    return keyword, rest[:count], rest[count:]


def _within(data: bytes, room: int) -> bytes:
    if len(data) > room:
        raise OverflowError(f"{room:,}")
    return data


def _inflated(packed: bytes, method: bytes, room: int) -> bytes:
    if method != b"\0":
        raise ValueError("its compression is not known")
    size = 0  # counted before any of it is kept: what is refused takes no memory
    for piece in _inflating(packed):
        size += len(piece)
        if size > room:
            raise OverflowError(f"{room:,}")
    return b"".join(_inflating(packed))


def _inflating(packed: bytes) -> Iterator[bytes]:
    engine = zlib.decompressobj()
    while not engine.eof:
        if not (piece := engine.decompress(packed, _PIECE_BYTES)):
            raise ValueError("it ends early")
        packed = engine.unconsumed_tail
        yield piece
