"""Where definitions of node classes come from: a file, a server, a checkout, or this package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from .document.definitions import Definitions, parse_definitions
from .problems import WorkflowError

EMBEDDED = Path(__file__).parent / "document" / "embedded_definitions.json"
"""What the embedded host would say of its classes: kept as a file, so that nobody needs torch."""


def definitions_from(source: str | None) -> Definitions:
    """The classes that `source` knows: None is the embedded host.

    source: a file with the answer to /object_info, a server's address, or a ComfyUI checkout,
    which is started for it.

    Raises WorkflowError for a file that is no such answer, HostError for a host that gives none.
    """
    if source is None:
        return _of_file(EMBEDDED)
    path = Path(source).expanduser()
    if path.is_file():
        return _of_file(path)
    if path.is_dir():
        return _of_checkout(path)
    if "://" in source or source.count(":") == 1:
        return _of_server(source)
    raise WorkflowError.of(
        f"--definitions wants a file, a folder with a ComfyUI, or the address of a server; there "
        f"is no {source}",
        "usage",
    )


def _of_file(path: Path) -> Definitions:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        why = error.strerror or error
        raise WorkflowError.of(
            f"cannot read {path}: {why}; check --definitions", "usage"
        ) from error
    except (ValueError, RecursionError) as error:
        raise WorkflowError.of(
            f"{path} is not valid JSON; --definitions wants what a ComfyUI answers to /object_info",
            "usage",
        ) from error
    if not isinstance(document, dict) or not any(
        isinstance(entry, dict) and isinstance(entry.get("input"), dict)
        for entry in document.values()
    ):
        raise WorkflowError.of(
            f"{path} holds no definitions of nodes; --definitions wants what a ComfyUI answers to "
            "/object_info",
            "usage",
        )
    return parse_definitions(cast("dict[str, object]", document))


def _of_server(address: str) -> Definitions:
    from .hosts.address import parse_address
    from .hosts.server import ServerHost

    return ServerHost(parse_address(address)).definitions()


def _of_checkout(folder: Path) -> Definitions:
    from .hosts.comfy_checkout import CheckoutHost

    host = CheckoutHost(folder)
    try:
        return host.definitions()
    finally:
        host.close()
