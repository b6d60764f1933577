"""A ComfyUI server over HTTP; whatever goes wrong is one HostError."""

from __future__ import annotations

import ipaddress
import json
import mimetypes
import urllib.parse
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from swin2sr_core.errors import harmless
from swin2sr_core.pictures.files.output_file import output_file
from swin2sr_core.transport.client import (
    ConnectionBroken,
    RedirectRefused,
    Response,
    TooLong,
    request,
)
from swin2sr_core.transport.limits import MOST_ERROR_BYTES, MOST_JSON_BYTES, MOST_OUTPUT_BYTES

from ..problems import HostError, WorkflowError
from .address import Address

_TIMEOUT = 60.0
_BLOCK = 1 << 20
_SENT_BODY = 400


class Answer(Exception):
    """The server answered with an error status; `document` is the body, if it is JSON."""

    def __init__(self, status: int, document: object) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.document = status, document


class Missing(HostError):
    """The server does not have the file."""


class Client:
    """Asks one server.

    `url` is its address as it may be printed; `timeout` is how long to wait for an answer, in
    seconds; `until` is when everything has to be over, of `time.monotonic()`, or None.
    """

    def __init__(self, address: Address, until: float | None = None) -> None:
        self.address, self.until = address, until
        self.url = address.url
        self.timeout = _TIMEOUT
        # nobody reaches this machine, or a neighbour, through a proxy
        self._direct = _is_near(address.host)

    def get(self, path: str) -> dict[str, object]:
        """GET a JSON object. Raises HostError, and Answer for an error status."""
        return self._json(path)

    def post(self, path: str, document: Mapping[str, object]) -> dict[str, object]:
        """POST JSON, get a JSON object; an empty answer is an empty one."""
        data = json.dumps(document).encode()
        return self._json(path, {"Content-Type": "application/json"}, data, empty=True)

    def upload(self, source: Path, folder: str, name: str, called: str) -> str:
        """Upload an input file; returns the name that workflows have for it.

        name: under which it is to lie there. called: what the workflow here calls it.
        """
        mark = uuid.uuid4().hex
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        fields = {"overwrite": "true", "type": "input", "subfolder": folder}
        start = f"--{mark}\r\nContent-Disposition: form-data; "
        before = "".join(
            f'{start}name="{field}"\r\n\r\n{value}\r\n' for field, value in fields.items()
        )
        plain = name.replace('"', "_").replace("\r", "_").replace("\n", "_")
        before += f'{start}name="image"; filename="{plain}"\r\nContent-Type: {kind}\r\n\r\n'
        first, last = before.encode(errors="replace"), f"\r\n--{mark}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        size = source.stat().st_size
        body = _blocks(first, source, size, last)
        try:
            got = self._json("/upload/image", headers, body, length=len(first) + size + len(last))
        except Answer as answer:
            raise HostError(
                f"the server at {self.url} did not take the input {called}: {answer}"
            ) from answer
        stored = got.get("name")
        if not isinstance(stored, str) or not stored:
            raise HostError(self._garbage("/upload/image", "has no name for the upload"))
        return "/".join(part for part in (str(got.get("subfolder") or ""), stored) if part)

    def size_of(self, query: Mapping[str, str]) -> int | None:
        """Bytes of a file that /view would give; None where there is none.

        Raises HostError where the server cannot be reached.
        """
        try:
            with self._asked(_view(query)) as response:
                return response.reply.length()
        except Answer:
            return None
        except ConnectionBroken as error:
            raise self._lost(error) from error

    def download(self, query: Mapping[str, str], target: Path) -> None:
        """GET /view into a new file, whole or not at all.

        Raises HostError, and Missing where the server does not have it.
        """
        name, received = harmless(query["filename"], 200), 0
        try:
            with (
                self._asked(_view(query)) as response,
                output_file(target) as file,
            ):
                for block in response.blocks():
                    received += len(block)
                    if received > MOST_OUTPUT_BYTES:
                        raise HostError(
                            f"the server at {self.url} sends {name} without end; it was not kept"
                        )
                    file.write(block)
        except Answer as answer:
            kind = Missing if answer.status == 404 else HostError
            raise kind(f"the server at {self.url} does not give out {name}: {answer}") from answer
        except ConnectionBroken as error:
            if not received:
                raise self._lost(error) from error
            raise HostError(
                f"the server at {self.url} broke off while it sent {name}: "
                f"{self.address.scrubbed(str(error))}"
            ) from error

    def _json(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        *,
        length: int | None = None,
        empty: bool = False,
    ) -> dict[str, object]:
        try:
            with self._asked(path, headers, body, length) as response:
                content = response.body(MOST_JSON_BYTES)
        except ConnectionBroken as error:
            raise self._lost(error) from error
        except TooLong as error:
            raise HostError(self._garbage(path, str(error))) from error
        if empty and not content.strip():
            return {}
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise HostError(self._garbage(path, "is not valid JSON")) from error
        if not isinstance(document, dict):
            raise HostError(self._garbage(path, f"is a {type(document).__name__}, no object"))
        return document

    @contextmanager
    def _asked(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        length: int | None = None,
    ) -> Iterator[Response]:
        """The answer to a request. Raises ConnectionBroken, HostError, Answer for an error."""
        try:
            with request(
                self.address.of(path),
                {**self.address.headers, **(headers or {})},
                self.timeout,
                body=body,
                length=length,
                until=self.until,
                direct=self._direct,
            ) as response:
                if response.reply.status >= 300:
                    raise Answer(response.reply.status, _explanation(response))
                yield response
        except RedirectRefused as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> HostError:
        why = self.address.scrubbed(str(error))
        return HostError(
            f"the ComfyUI server at {self.url} cannot be reached ({why}); start it, or check "
            "--server"
        )

    def _garbage(self, path: str, what: str) -> str:
        return (
            f"what answers at {self.url} is no ComfyUI server: its answer to "
            f"{path.partition('?')[0]} {what}; check --server"
        )


def _view(query: Mapping[str, str]) -> str:
    return "/view?" + urllib.parse.urlencode(query, errors="replace")


def _blocks(first: bytes, source: Path, size: int, last: bytes) -> Iterator[bytes]:
    """The body of an upload. Raises WorkflowError where the file changes meanwhile."""
    yield first
    left = size
    try:
        with source.open("rb") as file:
            while block := file.read(min(_BLOCK, left)):
                left -= len(block)
                yield block
    except OSError as error:
        raise WorkflowError.of(
            f"cannot read the input {source}: {error.strerror or error}", "missing_file"
        ) from error
    if left:
        raise WorkflowError.of(
            f"the input {source} became shorter while it was uploaded; run it again", "missing_file"
        )
    yield last


def _explanation(response: Response) -> object:
    """What the server says of an error: JSON where it is some, else the start of its text."""
    try:
        body = response.start_of_body(MOST_ERROR_BYTES)
    except ConnectionBroken:
        return ""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body[:_SENT_BODY].decode("utf-8", "replace")


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".localhost"))
