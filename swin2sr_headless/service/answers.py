"""Results and problems as HTTP answers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from fastapi.responses import FileResponse, JSONResponse, Response

from swin2sr_core.sentences import changed, glossary, spoken

from .desk import Order
from .dispatcher import Ticket
from .errors import Problem

TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".avif": "image/avif",
}
_OWN = ("input", "output", "comparison", "status")


def problem_answer(problem: Problem) -> Response:
    """application/problem+json, with Retry-After where waiting helps."""
    headers = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        problem.to_dict(),
        problem.status,
        headers,
        media_type="application/problem+json",
    )


def report_of(order: Order, ticket: Ticket, done: dict[str, Any]) -> dict[str, Any]:
    """What was done: the published names, and ours without paths."""
    report = {key: value for key, value in done["report"].items() if key not in _OWN}
    on_device = report["peak_memory_of"] == "device"
    path, name = order.upload.path, order.upload.name

    def named(text: str) -> str:
        return text.replace(str(path), name).replace(path.name, name)

    spoken_of = [spoken(text, report["words"]) for text in report["notices"]]
    notices = [changed(text, named) for text in spoken_of]
    return {
        "status": "success",
        **report,
        "gpu_memory_used_gb": report["peak_memory_gb"] if on_device else 0.0,
        "notices": notices,
        "words": glossary(notices),
        "seconds_forecast": ticket.forecast.seconds,
        "result": f"/results/{ticket.task.id}",
    }


def picture_answer(order: Order, ticket: Ticket, report: dict[str, Any]) -> Response:
    """The picture from the spool."""
    path = ticket.task.output
    return FileResponse(
        path,
        media_type=TYPES[path.suffix],
        headers={
            "Content-Disposition": disposition(result_name(order.upload.name, report, path.suffix)),
            "X-Swin2SR-Report": json.dumps(
                {key: value for key, value in report.items() if key not in ("plan", "words")}
            ),
        },
    )


def result_name(name: str, report: dict[str, Any], suffix: str) -> str:
    """photo.jpg -> photo_x4.png."""
    stem = name.rpartition(".")[0] or name
    scale = report.get("plan", {}).get("scale", 0)
    return f"{stem}_x{scale:g}{suffix}" if scale else f"{stem}_large{suffix}"


def disposition(name: str) -> str:
    """Content-Disposition for a name in any language (RFC 6266)."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
