"""POST /plan, GET /models, /healthz and /readyz: what can be told without computing."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from swin2sr_core.models.catalog import list_models

from .admission import wait_seconds
from .answers_schema import Health, ModelList, PlanDocument, Readiness
from .contracts import READING, plan_body, problems
from .desk import Desk
from .errors import Problem
from .fields import MAX_SIDE
from .uploads import Reading, timed

router = APIRouter()
_JSON = Reading(64 << 10)


@router.post(
    "/plan",
    openapi_extra=plan_body(),
    responses={200: {"model": PlanDocument}, **problems(*READING)},
)
async def plan(request: Request) -> Response:
    """How a picture, or one of {"width", "height"}, would be computed; nothing is."""
    desk: Desk = request.app.state.desk
    if request.headers.get("content-type", "").lower().startswith("application/json"):
        fields = {**dict(request.query_params), **await _json_fields(request)}
        header = _header(fields)
        document = await desk.plan_for_size(header, desk.wanted(fields))
    else:
        form = await desk.read(request)
        try:
            if len(form.files) != 1:
                raise Problem(422, "one-picture", f"one picture is planned, got {len(form.files)}")
            order = await desk.look(form.files[0], desk.wanted(form.fields))
        finally:
            form.discard()
        header, document = order.header, {**order.forecast, "seconds": order.seconds}
    state = desk.dispatcher.state()
    queue = {
        "waiting": len(state.waiting),
        "running": len(state.running),
        "seconds": round(wait_seconds(state), 2),
    }
    return JSONResponse({"status": "ok", "picture": header, **document, "queue": queue})


@router.get("/models", responses={200: {"model": ModelList}, **problems(401, 403)})
async def models(request: Request) -> Response:
    """The models that are served, the default first."""
    desk: Desk = request.app.state.desk
    loaded = desk.dispatcher.pool.models
    catalog = {row.entry.name: row.entry for row in list_models()}
    rows: list[dict[str, Any]] = []
    for name in desk.settings.models:
        facts, entry = loaded.get(name), catalog.get(name)
        rows.append(
            {
                "name": name,
                "loaded": facts is not None,
                "scale": facts.prospect["config"]["scale"] if facts else None,
                "precision": facts.prospect["precision"] if facts else None,
                "device": facts.device if facts else None,
                "licence": entry.licence if entry else None,
                "for": entry.purpose if entry else None,
            }
        )
    return JSONResponse({"status": "ok", "models": rows})


@router.get("/healthz", responses={200: {"model": Health}, **problems(403)})
async def healthz() -> Response:
    """The server answers."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    responses={
        200: {"model": Readiness},
        503: {"model": Readiness, "description": "not ready, and why"},
        **problems(403),
    },
)
async def readyz(request: Request) -> Response:
    """A worker has its models, and no shutdown has begun."""
    dispatcher = request.app.state.desk.dispatcher
    reasons = ["shutting down"] if dispatcher.draining else []
    if not dispatcher.pool.models:
        problem = dispatcher.pool.problem
        reasons.append(f"no worker is ready: {problem}" if problem else "no worker is ready yet")
    return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)


async def _json_fields(request: Request) -> dict[str, str]:
    body = b"".join([chunk async for chunk in timed(request.stream(), _JSON)])
    try:
        document = json.loads(body)
        return {str(key): _text(value) for key, value in document.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise Problem(400, "malformed", "the body is no JSON object") from error


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():  # JSON has one kind of number
        value = int(value)
    return str(value)


def _header(fields: dict[str, str]) -> dict[str, Any]:
    """Take what describes the picture out of the fields. Raises Problem 422."""
    numbers = {}
    for name, default, most in (
        ("width", "", MAX_SIDE),
        ("height", "", MAX_SIDE),
        ("frames", "1", 10000),
        ("channels", "3", 4),
    ):
        text = fields.pop(name, default)
        if not (text.isascii() and text.isdigit() and len(text) < 10) or not 1 <= int(text) <= most:
            raise Problem(422, "bad-field", f"{name}: expected 1 to {most}, got {text[:40]!r}")
        numbers[name] = int(text)
    suffix = f".{fields.get('format', 'png').lower()}"
    return {**numbers, "bits": 8, "suffix": ".png" if suffix == ".same" else suffix}
