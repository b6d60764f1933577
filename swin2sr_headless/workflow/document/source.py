"""A workflow as it comes: a JSON file in either format, a picture that carries one, or a dict."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from swin2sr_core.errors import InputError

from ..problems import WorkflowError
from .definitions import Definitions
from .graph import Graph, check_links, is_api_format, parse_api
from .ui_document import is_ui_format, parse_ui
from .ui_format import convert

_PNG = b"\x89PNG\r\n\x1a\n"
_MAKE, _MODEL = 0x010F, 0x0110
"""EXIF fields in which ComfyUI keeps "workflow:..." and "prompt:..." of a WebP."""

_LARGEST = 64 << 20
_DEEPEST = 100  # levels: workflows have ten, with groups in groups twenty


@dataclass(frozen=True)
class Workflow:
    """A workflow that was read, not yet understood. `document` is in one of the two formats.

    `page` is what goes into the metadata of outputs as `workflow`: the page's own format, or None.
    `extra` is what a prompt that was on its way to a server had besides.
    """

    name: str
    document: Mapping[str, object]
    page: Mapping[str, object] | None
    extra: Mapping[str, object] = field(default_factory=dict)

    def graph(self, definitions: Definitions, explain: Callable[[str], str]) -> Graph:
        """As a graph whose links are whole; `explain` is for classes that `definitions` lacks.

        Raises WorkflowError.
        """
        if is_ui_format(self.document):
            graph = convert(parse_ui(self.document), definitions, explain)
            if not graph:
                raise WorkflowError.of(
                    f"{self.name} has no nodes that would run: all are notes, muted or bypassed",
                    "no_outputs",
                )
        else:
            graph = parse_api(self.document)
        check_links(graph)
        return graph


def read_workflow(source: str | Path | Mapping[str, object]) -> Workflow:
    """Read a workflow: a path to JSON, PNG or WebP, or what such a JSON file holds.

    Of a picture that carries both formats, the prompt that made it is taken.

    Raises WorkflowError for what is missing, unreadable, or no workflow.
    """
    if isinstance(source, Mapping):
        _check_depth("the workflow", source)
        return _of_document("the workflow", source)
    path = Path(source).expanduser()
    try:
        if path.exists() and not path.is_file():  # a pipe hangs, a device never ends
            raise WorkflowError.of(f"{path} is no regular file; a workflow is one", "unreadable")
        if path.is_file() and path.stat().st_size > _LARGEST:
            raise WorkflowError.of(
                f"{path} has more than {_LARGEST >> 20} MiB; that is no workflow", "malformed"
            )
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL or half a character in the name
        why = getattr(error, "strerror", None) or error
        raise WorkflowError.of(
            f"cannot read the workflow {path}: {why}; check the name",
            "unreadable",
        ) from error
    if content.startswith(_PNG) or (content[:4], content[8:12]) == (b"RIFF", b"WEBP"):
        return _of_picture(path, content)
    return _of_document(path.name, _parsed(content, path.name))


def _of_document(name: str, document: Mapping[str, object]) -> Workflow:
    inner = document.get("prompt")
    if is_ui_format(document):
        return Workflow(name, document, document)
    if is_api_format(document):
        return Workflow(name, document, None)
    if isinstance(inner, dict) and is_api_format(inner):  # as it is sent to a server
        extra = document.get("extra_data")
        return Workflow(name, inner, None, extra if isinstance(extra, dict) else {})
    broken = _almost(document)
    raise WorkflowError.of(
        broken
        or f"{name} is JSON, but no workflow: expected nodes by id with class_type and "
        "inputs (API format), or nodes and links (as ComfyUI saves it)",
        "malformed",
    )


def _almost(document: Mapping[str, object]) -> str:
    """Which node spoils what else is API format."""
    nodes = {key: value for key, value in document.items() if isinstance(value, dict)}
    good = [key for key, value in nodes.items() if "class_type" in value]
    bad = [key for key in document if key not in good]
    if not good or not bad:
        return ""
    return f"node {bad[0]} has no class_type; each node needs one"


def _texts_of(path: Path, content: bytes) -> dict[str, str]:
    """What a picture carries as text: chunks of a PNG, EXIF of a WebP. Raises WorkflowError.

    The picture itself is not decoded, and may have any size.
    """
    from PIL import Image

    from swin2sr_core.pictures.files.notices import Notices
    from swin2sr_core.pictures.files.png_chunks import read_header
    from swin2sr_core.pictures.files.source import Source

    try:
        if content.startswith(_PNG):
            header = read_header(Source(path), Notices(str(path)))
            return {each.keyword: each.text for each in header.texts}
        with Image.open(io.BytesIO(content)) as image:
            exif = image.getexif()
    except (OSError, ValueError, SyntaxError, InputError, Image.DecompressionBombError) as error:
        raise WorkflowError.of(f"{path} is a damaged picture: {error}", "unreadable") from error
    fields = (str(exif.get(tag, "")).partition(":") for tag in (_MAKE, _MODEL))
    return {name.lower(): text for name, _, text in fields}


def _of_picture(path: Path, content: bytes) -> Workflow:
    texts = _texts_of(path, content)
    found = {
        key: _parsed(text.encode(), f"the {key} in {path.name}")
        for key in ("prompt", "workflow")
        if (text := texts.get(key)) is not None
    }
    if not found:
        raise WorkflowError.of(
            f"{path} carries no workflow: it has neither a prompt nor a workflow text, as ComfyUI "
            "writes them",
            "malformed",
        )
    page = found.get("workflow")
    return Workflow(
        path.name,
        _of_document(
            f"the workflow in {path.name}", found.get("prompt") or found["workflow"]
        ).document,
        page,
    )


def _parsed(content: bytes, name: str) -> Mapping[str, object]:
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise WorkflowError.of(
            f"{name} is no text in UTF-8 (byte {error.start}); expected JSON or a PNG", "malformed"
        ) from error
    except json.JSONDecodeError as error:
        raise WorkflowError.of(
            f"{name} is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}",
            "malformed",
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise WorkflowError.of(f"{name} has numbers that are none", "malformed") from error
    except RecursionError as error:
        raise WorkflowError.of(
            f"{name} is nested too deeply for a workflow", "malformed"
        ) from error
    if not isinstance(document, dict):
        raise WorkflowError.of(
            f"{name} holds a {type(document).__name__}, expected an object with nodes", "malformed"
        )
    _check_depth(name, document)
    return document


def _check_depth(name: str, document: object) -> None:
    """Raise WorkflowError for what is nested so deeply that others, who recurse, would fail."""
    level = [document]
    for _ in range(_DEEPEST):
        inner = [each for each in level if isinstance(each, (Mapping, list, tuple))]
        if not inner:
            return
        values = (each.values() if isinstance(each, Mapping) else each for each in inner)
        level = list(chain.from_iterable(values))
    raise WorkflowError.of(f"{name} is nested too deeply for a workflow", "malformed")
