"""EXIF as a TIFF block, read and written entry by entry: a value stays the bytes that it was.

Types and layout as in TIFF 6.0 (BigTIFF as libtiff describes it), tags as in Exif 3.0 (CIPA
DC-008). (Pillow would decode each value and encode it again: text that is not ASCII gets lost, and
one damaged entry takes those behind it along.)
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO, NamedTuple

import numpy as np

from ..limits import TEXT_BYTES

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x0112, 0x011A, 0x011B, 0x0128
MAKE, MODEL, USER_COMMENT = 0x010F, 0x0110, 0x9286
PHOTO_IFD, GPS_IFD = 0x8769, 0x8825

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
_ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_ITEM_BYTES |= {16: 8, 17: 8, 18: 8, 129: 1}  # of BigTIFF; UTF-8
_SWAPPED_BYTES = {**_ITEM_BYTES, 5: 4, 10: 4}  # a rational is two numbers
_OF_BIG_TIFF = (16, 17, 18)
_MARK = b"Exif\0\0"

# What describes the photograph. Everything else in the first directory lays out the file it came
# from (sizes, strips, thumbnails) and would be wrong in another one.
_DESCRIPTIVE = frozenset(
    (
        *(0x010D, 0x010E, MAKE, MODEL, 0x0131, 0x0132, 0x013B, 0x013C),  # names, camera, author
        *(X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT),
        *(0x4746, 0x4749, 0x8298),  # rating, copyright
        *range(0x9C9B, 0x9CA0),  # title, comment, author, keywords, subject as Windows writes them
    )
)
_STALE = frozenset((0xA002, 0xA003, 0xA005))  # old width and height; a pointer into the old file


class Entry(NamedTuple):
    """One value: its type, how many items it has, and they as little-endian bytes."""

    kind: int
    items: int
    data: bytes


def text_entry(text: str) -> Entry:
    """A text in UTF-8 under the type for ASCII, as programs read and write it."""
    data = text.encode("utf-8", "replace") + b"\0"
    return Entry(ASCII, len(data), data)


def bytes_entry(data: bytes, kind: int = UNDEFINED) -> Entry:
    """Bytes that only their reader understands."""
    return Entry(kind, len(data), data)


def numbers_entry(kind: int, *values: int) -> Entry:
    """SHORT or LONG numbers."""
    letter = {SHORT: "H", LONG: "I"}[kind]
    return Entry(kind, len(values), struct.pack(f"<{len(values)}{letter}", *values))


@dataclass
class Exif:
    """The directories that say something of the photograph, by tag.

    big_endian: the byte order in which `block` writes them, as they were.
    """

    main: dict[int, Entry] = field(default_factory=dict)
    photo: dict[int, Entry] = field(default_factory=dict)
    gps: dict[int, Entry] = field(default_factory=dict)
    big_endian: bool = False

    def __bool__(self) -> bool:
        return bool(self.main or self.photo or self.gps)

    @property
    def orientation(self) -> int | None:
        """How stored rows and columns have to be turned, 1 to 8; None where it does not say."""
        entry = self.main.get(ORIENTATION)
        value = _number(entry) if entry else None
        return int(value) if value is not None and value in range(1, 9) else None

    @property
    def dpi(self) -> tuple[float, float] | None:
        """Dots per inch, horizontal and vertical; None where unknown or nonsense."""
        x, y = self.main.get(X_RESOLUTION), self.main.get(Y_RESOLUTION)
        unit = _number(self.main[RESOLUTION_UNIT]) if RESOLUTION_UNIT in self.main else 2
        values = [_number(each) for each in (x, y or x) if each]
        if unit not in (2, 3) or len(values) != 2:
            return None
        scale = 2.54 if unit == 3 else 1.0
        return positive_pair([value * scale for value in values if value is not None])

    def described(self) -> Exif:
        """Without what is no longer true of an upright picture of another size."""
        main = {tag: entry for tag, entry in self.main.items() if tag in _DESCRIPTIVE}
        photo = {tag: entry for tag, entry in self.photo.items() if tag not in _STALE}
        return Exif(main, photo, dict(self.gps), self.big_endian)

    def with_dpi(self, dpi: tuple[float, float] | None) -> Exif:
        """The same, telling this resolution; itself for None."""
        if dpi is None:
            return self
        told = {RESOLUTION_UNIT: numbers_entry(SHORT, 2)}
        for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True):
            ratio = Fraction(value).limit_denominator(1000)
            data = struct.pack("<II", ratio.numerator, ratio.denominator)
            told[tag] = Entry(RATIONAL, 1, data)
        return Exif({**self.main, **told}, self.photo, self.gps, self.big_endian)

    def block(self) -> bytes | None:
        """All as a TIFF block, the inverse of `parse_exif`; None where there is nothing in it."""
        if not self:
            return None
        head = b"MM\0*\0\0\0\x08" if self.big_endian else b"II*\0\x08\0\0\0"
        return head + self.directories(self.main, len(head), big_endian=self.big_endian)

    def directories(self, main: Mapping[int, Entry], at: int, *, big_endian: bool = False) -> bytes:
        """The directory `main`, which leads to the photo's and GPS's, for place `at` of a file."""
        sub = {PHOTO_IFD: self.photo, GPS_IFD: self.gps}
        sub = {tag: entries for tag, entries in sub.items() if entries}
        pointers = {tag: numbers_entry(LONG, 0) for tag in sub}
        end = at + len(_directory({**main, **pointers}, at, big_endian=big_endian))
        tail = b""
        for tag, entries in sub.items():
            pointers[tag] = numbers_entry(LONG, end + len(tail))
            tail += _directory(entries, end + len(tail), big_endian=big_endian)
        return _directory({**main, **pointers}, at, big_endian=big_endian) + tail


def read_exif(source: bytes | BinaryIO | None) -> tuple[Exif, list[int]]:
    """The first directory of a TIFF block or file and those of EXIF and GPS, and the damaged tags.

    Of the first directory only what describes the photograph is read, and the orientation.
    Raises ValueError for what is no TIFF block at all.
    """
    if not source:
        return Exif(), []
    file = io.BytesIO(source.removeprefix(_MARK)) if isinstance(source, bytes) else source
    reader = _Reader(file)
    pointers = frozenset((PHOTO_IFD, GPS_IFD))
    first = reader.directory(reader.first, _DESCRIPTIVE | pointers | {ORIENTATION})
    parts: dict[int, dict[int, Entry]] = {}
    for tag in pointers & first.keys():
        value = _number(first.pop(tag))
        parts[tag] = {}
        if value is None or not reader.holds_directory(int(value)):
            reader.damaged.append(tag)
        else:
            parts[tag] = reader.directory(int(value), None)
    exif = Exif(first, parts.get(PHOTO_IFD, {}), parts.get(GPS_IFD, {}), reader.big_endian)
    return exif, reader.damaged


def parse_exif(block: bytes | None) -> Exif:
    """The inverse of `Exif.block`; what is damaged is passed over, and all of what is no block."""
    try:
        return read_exif(block)[0]
    except (ValueError, struct.error):
        return Exif()


def positive_pair(values: Sequence[float]) -> tuple[float, float] | None:
    """Two sound resolutions, or None."""
    good = len(values) == 2 and all(math.isfinite(each) and 0 < each < 1e6 for each in values)
    return (values[0], values[1]) if good else None


class _Reader:
    """A TIFF structure of which nothing is believed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = file.seek(0, io.SEEK_END)
        self._left = TEXT_BYTES
        self.damaged: list[int] = []
        file.seek(0)
        head = file.read(16)
        self.big_endian = head[:2] == b"MM"
        self._order = ">" if self.big_endian else "<"
        if head[:2] not in (b"II", b"MM") or len(head) < 8:
            raise ValueError("it does not begin as a TIFF block")
        self._big = struct.unpack_from(f"{self._order}H", head, 2)[0] == 43
        if self._big:
            head = head.ljust(16, b"\0")
        (self.first,) = struct.unpack_from(
            f"{self._order}{'Q' if self._big else 'I'}", head, 8 if self._big else 4
        )
        if not self.holds_directory(self.first):
            raise ValueError("its first directory lies outside of it")

    def holds_directory(self, at: int) -> bool:
        """Whether a directory can begin here."""
        return 8 <= at <= self._end - 2

    def directory(self, at: int, wanted: Collection[int] | None) -> dict[int, Entry]:
        """The sound entries of a directory that are wanted (None: all)."""
        width, step, count_format = (8, 20, "Q") if self._big else (2, 12, "H")
        self._file.seek(at)
        (count,) = struct.unpack(
            self._order + count_format, self._file.read(width).ljust(width, b"\0")
        )
        fits = max(0, self._end - at - width) // step
        table = self._file.read(step * min(count, fits, 0xFFFF))
        found: dict[int, Entry] = {}
        for place in range(0, len(table) - step + 1, step):
            tag, kind = struct.unpack_from(f"{self._order}HH", table, place)
            if tag in found or (wanted is not None and tag not in wanted):
                continue
            entry = self._entry(kind, table[place + 4 : place + step])
            if entry is None:
                self.damaged.append(tag)
            else:
                found[tag] = entry
        return found

    def _entry(self, kind: int, rest: bytes) -> Entry | None:
        letter, inline = ("Q", 8) if self._big else ("I", 4)
        count, at = struct.unpack(f"{self._order}2{letter}", rest)
        size = count * _ITEM_BYTES.get(kind, 0)
        if not size or size > self._left:
            return None
        self._left -= size
        if size <= inline:
            data = rest[-inline:][:size]
        elif at + size > self._end:
            return None
        else:
            self._file.seek(at)
            data = self._file.read(size)
            if len(data) != size:
                return None
        entry = Entry(kind, count, _ordered(kind, data, big_endian=self.big_endian))
        return _narrowed(entry) if kind in _OF_BIG_TIFF else entry


def _narrowed(entry: Entry) -> Entry | None:
    """Whole numbers of 64 bits as LONG, the most that blocks have; None where that is too small."""
    values = struct.unpack(f"<{entry.items}Q", entry.data)
    return numbers_entry(LONG, *values) if max(values) < 2**32 else None


def _number(entry: Entry) -> float | None:
    """The first item of an entry; None for a text or bytes, and for a fraction of zero."""
    kind, _, data = entry
    letters = {SHORT: "H", LONG: "I", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
    if kind in letters:
        return struct.unpack_from(f"<{letters[kind]}", data)[0]
    if kind not in (RATIONAL, 10):
        return None
    above, below = struct.unpack_from("<II" if kind == RATIONAL else "<ii", data)
    return above / below if below else None


def _directory(entries: Mapping[int, Entry], at: int, *, big_endian: bool) -> bytes:
    """A directory that stands at `at`, the values behind it, and no next one."""
    order = ">" if big_endian else "<"
    table, values = struct.pack(f"{order}H", len(entries)), b""
    start = at + 2 + 12 * len(entries) + 4
    for tag, (kind, count, data) in sorted(entries.items()):
        data = _ordered(kind, data, big_endian=big_endian)
        if len(data) <= 4:
            place = data.ljust(4, b"\0")
        else:
            place = struct.pack(f"{order}I", start + len(values))
            values += data + b"\0" * (len(data) % 2)
        table += struct.pack(f"{order}HHI", tag, kind, count) + place
    return table + b"\0\0\0\0" + values


def _ordered(kind: int, data: bytes, *, big_endian: bool) -> bytes:
    """Items between little-endian order and that of a block: either way they are swapped or not."""
    width = _SWAPPED_BYTES[kind]
    if not big_endian or width == 1:
        return data
    return np.frombuffer(data, f"<u{width}").astype(f">u{width}").tobytes()
