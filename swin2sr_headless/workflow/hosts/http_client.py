"""Plain HTTP to a ComfyUI server; whatever goes wrong is one HostError."""

from __future__ import annotations

import http.client
import ipaddress
import json
import mimetypes
import socket
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path

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
        self._opener = urllib.request.build_opener(*([near] if near else []))

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
                while block := answer.read(_BLOCK):
                    file.write(block)
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

    def _json(self, request: urllib.request.Request, empty: bool = False) -> dict[str, object]:
        path = request.full_url.removeprefix(self.url)
        try:
            with self._open(request) as answer:
                body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise HostError(self._lost(error)) from error
        if empty and not body.strip():
            return {}
        try:
            document = json.loads(body)
        except ValueError as error:
            raise HostError(self._garbage(path, "is no JSON")) from error
        if not isinstance(document, dict):
            raise HostError(self._garbage(path, f"is a {type(document).__name__}, no object"))
        return document

    def _open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        try:
            return self._opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise Answer(error.code, _parsed(error.read())) from None

    def _lost(self, error: Exception) -> str:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError | socket.timeout):
            why = f"no answer within {self.timeout:g} s"
        else:
            why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return (
            f"the ComfyUI server at {self.url} cannot be reached ({why}); start it, or check "
            "--server"
        )

    def _garbage(self, path: str, what: str) -> str:
        return (
            f"what answers at {self.url} is no ComfyUI server: its answer to "
            f"{path.partition('?')[0]} {what}; check --server"
        )


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body[:_SENT_BODY].decode("utf-8", "replace")


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".localhost"))
