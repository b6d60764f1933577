"""POST /swin2sr/download and /swin2sr/download/stop: the buttons of Load Swin2SR.

Only names of the catalog are taken, and only the catalog's addresses are asked; a file goes to
models/swin2sr and nowhere else. What happens then is told by messages (see `downloads`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..swin2sr_core.errors import InputError
from ..swin2sr_core.models.catalog import CatalogEntry
from . import downloads, events, model_choice

if TYPE_CHECKING:
    from aiohttp import web

START, STOP = "/swin2sr/download", "/swin2sr/download/stop"


def register() -> None:
    """Add the routes to ComfyUI's server, if there is one."""
    server = events.server()
    if server is not None:
        server.routes.post(START)(start)
        server.routes.post(STOP)(stop)


async def start(request: web.Request) -> web.Response:
    """Begin to download the model that the body names; `started` is False where it is here."""
    return await _answered(request, lambda entry: {"started": downloads.start(entry)})


async def stop(request: web.Request) -> web.Response:
    """Stop that download; `stopped` is False where there was none."""
    return await _answered(request, lambda entry: {"stopped": downloads.stop(entry.name)})


async def _answered(
    request: web.Request, act: Callable[[CatalogEntry], dict[str, object]]
) -> web.Response:
    from aiohttp import web  # it comes with ComfyUI's server, and is needed nowhere else

    try:
        return web.json_response(act(_entry(request.content_type, await _text(request))))
    except InputError as error:
        return web.json_response({"error": str(error)}, status=400)


async def _text(request: web.Request) -> str:
    try:
        return await request.text()
    except (UnicodeDecodeError, LookupError) as error:  # LookupError: an encoding nobody knows
        raise InputError("the body is no text in the encoding that it names") from error


def _entry(content_type: str, body: str) -> CatalogEntry:
    """The official checkpoint that {"model": name} means. Raises InputError."""
    if content_type != "application/json":  # what other sites' pages may not send unasked
        raise InputError("the body must be application/json")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    name = content.get("model") if isinstance(content, dict) else None
    entry = model_choice.downloadable(name) if isinstance(name, str) else None
    if entry is None:
        raise InputError("that is none of the models that can be downloaded")
    return entry
