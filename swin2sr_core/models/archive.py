"""torch's files: which pieces there are, looked at before anything of them is inflated.

Since 1.6 a file is a zip archive of one folder, with `data.pkl` and a member for each storage;
before, it was five pickles and then the storages, each after its length.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from typing import BinaryIO

from .limits import (
    MOST_DIRECTORY_BYTES,
    MOST_INFLATION,
    MOST_MEMBERS,
    MOST_PICKLE_BYTES,
)
from .pickles import CutShort, Refused, Storage, read_pickle

_END = struct.Struct("<4s4H2LH")
_END_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT = 1 << 16
_MAGIC = 0x1950A86A20F9469CFC6C
_OLD_VERSION = 1001
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

Fetch = Callable[[Storage], bytearray]
"""The bytes of a storage, no more than it says."""


def is_archive(file: BinaryIO) -> bool:
    """Whether torch takes the file for an archive: by its first bytes, unlike `zipfile`."""
    file.seek(0)
    return file.read(4) == b"PK\x03\x04"


def open_archive(file: BinaryIO) -> tuple[object, Fetch]:
    """What `data.pkl` says, and the way to the storages. Raises Refused, and what damage raises."""
    _check_directory(file)
    archive = zipfile.ZipFile(file)
    members = _members(archive, os.fstat(file.fileno()).st_size)
    name = next((name for name in members if name.endswith("/data.pkl")), "")
    folder = name.removesuffix("data.pkl")
    if not name or any(not each.startswith(folder) for each in members):
        raise Refused("no data.pkl in the one folder of an archive")
    if f"{folder}constants.pkl" in members or any("/code/" in each for each in members):
        raise Refused("a program (TorchScript)")
    order = members.get(f"{folder}byteorder")
    if order is not None and _member(archive, order, 16) not in (b"", b"little"):
        raise Refused("numbers of another byte order")

    def fetch(storage: Storage) -> bytearray:
        member = members.get(f"{folder}data/{storage.key}")
        if member is None or member.file_size < storage.size:
            raise Refused(f"no whole storage {storage.key[:20]!a}")
        with archive.open(member) as content:
            return _exactly(content, storage.size)

    content = read_pickle(io.BytesIO(_member(archive, members[name], MOST_PICKLE_BYTES)))
    return content, fetch


def open_old(file: BinaryIO) -> tuple[object, Fetch]:
    """The same of a file from before torch 1.6."""
    file.seek(0)
    start = io.BytesIO(file.read(MOST_PICKLE_BYTES))
    if read_pickle(start) != _MAGIC or read_pickle(start) != _OLD_VERSION:
        raise Refused("not the beginning of a torch file")
    system = read_pickle(start)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("numbers of another byte order")
    content, keys = read_pickle(start), read_pickle(start)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Refused("no list of storages")
    places: dict[str, tuple[int, int]] = {}
    begin = start.tell()

    def fetch(storage: Storage) -> bytearray:
        if not places:
            places.update(_old_places(file, begin, keys, content))
        at, count = places.get(storage.key, (0, -1))
        if count != storage.count:
            raise Refused(f"no whole storage {storage.key[:20]!a}")
        file.seek(at)
        return _exactly(file, storage.size)

    return content, fetch


def _old_places(
    file: BinaryIO, begin: int, keys: list[str], content: object
) -> dict[str, tuple[int, int]]:
    """Where each storage begins, and its elements; every one follows after the one before."""
    sizes = {each.key: each for each in storages_in(content)}
    places = {}
    for key in keys:
        file.seek(begin)
        count = int.from_bytes(_exactly(file, 8), "little", signed=True)
        if key not in sizes or count < 0:
            raise Refused("a storage that no tensor has")
        places[key] = (begin + 8, count)
        begin += 8 + count * (sizes[key].size // max(sizes[key].count, 1))
    return places


def storages_in(content: object) -> list[Storage]:
    """Those of all tensors in a dict of tensors and in the dicts that it holds."""
    from .pickles import Entry

    found: list[Storage] = []
    for value in content.values() if isinstance(content, dict) else ():
        inner = value.values() if isinstance(value, dict) else (value,)
        found += [e.storage for e in inner if isinstance(e, Entry) and e.storage is not None]
    return found


def _check_directory(file: BinaryIO) -> None:
    """The zip's directory is read whole: its size is looked at before."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - _LONGEST_COMMENT))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise CutShort("no end of an archive")
    _, _, _, _, members, length, _, _ = _END.unpack_from(tail, at)
    before = at - _END_LOCATOR.size
    if before >= 0 and tail[before : before + 4] == b"PK\x06\x07":
        _, _, place, _ = _END_LOCATOR.unpack_from(tail, before)
        file.seek(min(place, size))
        end = file.read(_END_64.size)
        if len(end) < _END_64.size or end[:4] != b"PK\x06\x06":
            raise CutShort("no end of an archive")
        members, length = _END_64.unpack(end)[7:9]
    if members > MOST_MEMBERS or length > MOST_DIRECTORY_BYTES:
        raise Refused(f"a directory of {members:,} members and {length:,} bytes")


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """By name. Raises Refused for those that are twice there, hidden, or swell when inflated."""
    listed = archive.infolist()
    members = {each.filename: each for each in listed}
    if len(members) != len(listed) or len(members) > MOST_MEMBERS:
        raise Refused("two members of one name")
    if any(e.flag_bits & 1 or e.compress_type not in _READABLE for e in listed):
        raise Refused("an encrypted or rarely packed member")
    if sum(each.file_size for each in listed) > MOST_INFLATION * size:
        raise Refused("members that swell when they are unpacked")
    return members


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    if member.file_size > most:
        raise Refused(f"a {member.filename.rpartition('/')[2]} of {member.file_size:,} bytes")
    with archive.open(member) as content:
        return bytes(_exactly(content, member.file_size))


def _exactly(source: object, size: int) -> bytearray:
    """So many bytes, read piece by piece: what is inflated stops there. Raises EOFError."""
    read = source.read  # type: ignore[attr-defined]
    found = bytearray()
    while len(found) < size:
        block = read(min(size - len(found), 1 << 20))
        if not block:
            raise EOFError("the file ends too early")
        found += block
    return found
