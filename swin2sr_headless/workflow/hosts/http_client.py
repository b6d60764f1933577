"""Plain HTTP to a ComfyUI server; whatever goes wrong is one HostError."""

from __future__ import annotations

import http.client
import ipaddress
import json
import mimetypes
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from swin2sr_core.errors import harmless
from swin2sr_core.models.limits import (
    LEAST_PACE,
    MOST_ERROR_BYTES,
    MOST_JSON_BYTES,
    MOST_OUTPUT_BYTES,
)
from swin2sr_core.pictures.files.output_file import output_file

from ..problems import HostError, WorkflowError

_TIMEOUT = 60.0
_BLOCK = 1 << 20
_SENT_BODY = 400


class Answer(Exception):
    """The server answered with an error status; `document` is the body, if it is JSON."""

    def __init__(self, status: int, document: object) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.document = status, document


class Client:
    """Asks one server.

    `url` is its address without a slash at the end; `timeout` is how long to wait for an answer,
    in seconds.
    """

    def __init__(self, url: str) -> None:
        """Raises WorkflowError for what is no address of a server."""
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        try:
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise WorkflowError.of(
                f"--server wants an address like http://127.0.0.1:8188, got {url!r}", "usage"
            )
        self.url = urllib.parse.urlunsplit((*parts[:2], parts.path.rstrip("/"), "", ""))
        # nobody reaches this machine, or a neighbour, through a proxy
        near = urllib.request.ProxyHandler({}) if _is_near(parts.hostname or "") else None
        self.timeout = _TIMEOUT
        self._opener = urllib.request.build_opener(_SameHost(), *([near] if near else []))

    def get(self, path: str) -> dict[str, object]:
        """GET a JSON object. Raises HostError, and Answer for an error status."""
        return self._json(urllib.request.Request(self.url + path))

    def post(self, path: str, document: Mapping[str, object]) -> dict[str, object]:
        """POST JSON, get a JSON object; an empty answer is an empty one."""
        headers = {"Content-Type": "application/json"}
        data = json.dumps(document).encode()
        return self._json(urllib.request.Request(self.url + path, data, headers), empty=True)

    def upload(self, source: Path, folder: str, name: str) -> str:
        """Upload an input file; returns the name that workflows have for it."""
        mark = uuid.uuid4().hex
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        fields = {"overwrite": "true", "type": "input", "subfolder": folder}
        start = f"--{mark}\r\nContent-Disposition: form-data; "
        body = b"".join(
            f'{start}name="{field}"\r\n\r\n{value}\r\n'.encode() for field, value in fields.items()
        )
        plain = name.replace('"', "_").replace("\r", "_").replace("\n", "_")
        body += f'{start}name="image"; filename="{plain}"\r\nContent-Type: {kind}\r\n\r\n'.encode()
        body += source.read_bytes() + f"\r\n--{mark}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        try:
            got = self._json(urllib.request.Request(self.url + "/upload/image", body, headers))
        except Answer as answer:
            raise HostError(
                f"the server at {self.url} did not take the input {name}: {answer}"
            ) from answer
        stored = got.get("name")
        if not isinstance(stored, str) or not stored:
            raise HostError(self._garbage("/upload/image", "has no name for the upload"))
        return "/".join(part for part in (str(got.get("subfolder") or ""), stored) if part)

    def download(self, query: Mapping[str, str], target: Path) -> None:
        """GET /view into a new file, whole or not at all."""
        path = "/view?" + urllib.parse.urlencode(query)
        try:
            with (
                self._open(urllib.request.Request(self.url + path)) as answer,
                output_file(target) as file,
            ):
                expected = answer.headers.get("Content-Length")
                until = time.monotonic() + self.timeout
                while block := answer.read1(_BLOCK):
                    file.write(block)
                    if file.tell() > MOST_OUTPUT_BYTES or self._is_late(until, file.tell()):
                        raise HostError(
                            f"the server at {self.url} sends {harmless(query['filename'])} without "
                            "end; it was not kept"
                        )
                if expected is not None and expected.isdigit() and file.tell() != int(expected):
                    raise HostError(
                        f"the server at {self.url} broke off while it sent {query['filename']}"
                    )
        except Answer as answer:
            raise HostError(
                f"the server at {self.url} does not give out {query['filename']}: {answer}"
            ) from answer
        except (OSError, http.client.HTTPException) as error:
            raise HostError(self._lost(error)) from error

    def _body(self, answer: http.client.HTTPResponse, most: int, path: str) -> bytes:
        """All of an answer, if it is of a size to be one and comes in time. Raises HostError."""
        until, body = time.monotonic() + self.timeout, bytearray()
        while block := answer.read1(_BLOCK):
            body += block
            if len(body) > most:
                raise HostError(self._garbage(path, f"has more than {most >> 20} MiB"))
            if time.monotonic() > until:
                raise HostError(self._lost(TimeoutError()))
        return bytes(body)

    def _is_late(self, until: float, received: int) -> bool:
        """Whether a file comes so slowly that it is meant never to end."""
        late = time.monotonic() - until
        return late > 0 and received < LEAST_PACE * (late + self.timeout)

    def _explanation(self, error: urllib.error.HTTPError) -> bytes:
        """What the server says of an error, up to a limit."""
        try:
            return error.read(MOST_ERROR_BYTES)
        except (OSError, http.client.HTTPException):
            return b""

    def _json(self, request: urllib.request.Request, empty: bool = False) -> dict[str, object]:
        path = request.full_url.removeprefix(self.url)
        try:
            with self._open(request) as answer:
                body = self._body(answer, MOST_JSON_BYTES, path)
        except (OSError, http.client.HTTPException) as error:
            raise HostError(self._lost(error)) from error
        if empty and not body.strip():
            return {}
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise HostError(self._garbage(path, "is no JSON")) from error
        if not isinstance(document, dict):
            raise HostError(self._garbage(path, f"is a {type(document).__name__}, no object"))
        return document

    def _open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        try:
            return self._opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise Answer(error.code, _parsed(self._explanation(error))) from None

    def _lost(self, error: Exception) -> str:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError | socket.timeout):
            why = f"no answer within {self.timeout:g} s"
        else:
            told = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            why = harmless(told, 200)
        return (
            f"the ComfyUI server at {self.url} cannot be reached ({why}); start it, or check "
            "--server"
        )

    def _garbage(self, path: str, what: str) -> str:
        return (
            f"what answers at {self.url} is no ComfyUI server: its answer to "
            f"{path.partition('?')[0]} {what}; check --server"
        )


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http(s) on the same host alone: a server is trusted, not its friends."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        came, goes = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        schemes = [("http", "http"), ("https", "https"), ("http", "https")]
        if (came.scheme, goes.scheme) not in schemes or came.hostname != goes.hostname:
            raise urllib.error.URLError(f"it redirects to {newurl[:200]}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body[:_SENT_BODY].decode("utf-8", "replace")


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".localhost"))
