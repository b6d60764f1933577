"""Request bodies to files of the spool, counted while they come."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from swin2sr_core.sentences import sentence

from .errors import Problem, no_room
from .spool import Spool

MAX_PARTS = 64
_FIELD_BYTES = 64 << 10
_HEADER_BYTES = 8 << 10
_FILES = ("image", "file", "images", "files")


@dataclass(frozen=True)
class Reading:
    """How long and how large a body may be: bytes, and seconds without a byte and in all."""

    max_bytes: int
    idle: float = 10.0
    total: float = 300.0


@dataclass
class Upload:
    """One file that came. name: the client's, for showing alone."""

    path: Path
    name: str
    size: int = 0
    sha256: str = ""


@dataclass
class Form:
    """Everything that came."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[Upload] = field(default_factory=list)

    def discard(self) -> None:
        """Remove its files."""
        for upload in self.files:
            upload.path.unlink(missing_ok=True)


async def timed(chunks: AsyncIterator[bytes], reading: Reading) -> AsyncIterator[bytes]:
    """The chunks, no more than may be, in the time they may take. Raises Problem 413 and 408."""
    loop, size = asyncio.get_running_loop(), 0
    end = loop.time() + reading.total
    iterator = chunks.__aiter__()
    while True:
        try:
            patience = max(0.0, min(reading.idle, end - loop.time()))
            chunk = await asyncio.wait_for(iterator.__anext__(), patience)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            text = sentence("serve_slow", "the upload did not go on; send it again")
            raise Problem(408, "too-slow", text) from None
        size += len(chunk)
        if size > reading.max_bytes:
            text = sentence(
                "serve_bytes",
                "the request has more than {limit:,} bytes, which is the limit; send a smaller "
                "picture",
                limit=reading.max_bytes,
            )
            raise Problem(413, "too-many-bytes", text)
        yield chunk


async def read_raw(chunks: AsyncIterator[bytes], spool: Spool) -> Form:
    """A body that is the picture itself."""
    form = Form()
    file = _File(form, spool, "picture")
    try:
        async for chunk in chunks:
            file.write(chunk)
        file.close()
    except BaseException:
        file.close()
        form.discard()
        raise
    if not form.files[0].size:
        form.discard()
        raise Problem(422, "no-picture", "the body is empty; send a picture")
    return form


async def read_multipart(chunks: AsyncIterator[bytes], content_type: str, spool: Spool) -> Form:
    """multipart/form-data: files go to the spool as they come, fields are kept."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise Problem(400, "malformed", "multipart/form-data without a boundary")
    parts = _Parts(spool)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
        if not parts.ended:
            raise Problem(400, "malformed", "the form ends in the middle; send it again")
    except FormParserError as error:
        parts.discard()
        raise Problem(400, "malformed", f"the form cannot be read: {error}") from error
    except BaseException:
        parts.discard()
        raise
    return parts.form


class _File:
    """A file of the spool that is being written."""

    def __init__(self, form: Form, spool: Spool, name: str) -> None:
        self.upload = Upload(spool.new_upload(), name)
        self._hash = hashlib.sha256()
        self._file: BinaryIO = self.upload.path.open("xb")
        form.files.append(self.upload)

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise no_room() from error
        self._hash.update(data)
        self.upload.size += len(data)

    def close(self) -> None:
        self._file.close()
        self.upload.sha256 = self._hash.hexdigest()


class _Parts:
    """What the parser of multipart bodies finds."""

    def __init__(self, spool: Spool) -> None:
        self.form, self.ended = Form(), False
        self._spool = spool
        self._count = 0
        self._header, self._value, self._headers = b"", b"", dict[bytes, bytes]()
        self._name, self._text = "", bytearray()
        self._file: _File | None = None

    def callbacks(self) -> Any:
        names = (
            "part_begin",
            "part_data",
            "part_end",
            "header_field",
            "header_value",
            "header_end",
            "headers_finished",
            "end",
        )
        return {f"on_{name}": getattr(self, f"_on_{name}") for name in names}

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
        self.form.discard()

    def _on_part_begin(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise Problem(413, "too-many-parts", f"the form has more than {MAX_PARTS} parts")
        self._headers, self._text, self._file = {}, bytearray(), None
        self._header = self._value = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._value) + len(self._header) > _HEADER_BYTES:
            raise Problem(400, "malformed", "a part of the form has a header that is too long")

    def _on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        options = parse_options_header(self._headers.get(b"content-disposition", b""))[1]
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options and self._name in _FILES:
            raise Problem(
                422,
                "bad-field",
                f"{self._name} came as text; send a file, as curl -F {self._name}=@photo.jpg does",
            )
        if b"filename" in options:
            if self._name not in _FILES:
                raise Problem(
                    422, "bad-field", f"pictures are sent as image or file, not {self._name[:40]!r}"
                )
            name = options.get(b"filename", b"").decode("utf-8", "replace")
            self._file = _File(self.form, self._spool, harmless_name(name))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _FIELD_BYTES:
            raise Problem(413, "too-many-bytes", f"the field {self._name[:40]!r} is too long")

    def _on_part_end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        else:
            self.form.fields[self._name] = self._text.decode("utf-8", "replace").strip()

    def _on_end(self) -> None:
        self.ended = True


def harmless_name(name: str) -> str:
    """A client's file name as it may be shown and offered again: no folders, no control letters."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    shown = "".join(each for each in last if each.isprintable() and each not in '"\\/:*?<>|;')
    return shown.strip(". ")[:100] or "picture"
