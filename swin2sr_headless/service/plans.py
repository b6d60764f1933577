"""POST /plan, GET /models, /healthz and /readyz: what can be told without computing."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from swin2sr_core.models.catalog import list_models

from .admission import wait_seconds
from .answers_schema import Health, ModelList, PlanDocument, Readiness
from .contracts import READING, plan_body, problems
from .desk import Desk
from .errors import Problem
from .fields import Size
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
        header, fields = await _told(request)
        wanted = desk.wanted({**request.query_params, **fields})
        document = await desk.plan_for_size(header, wanted)
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


async def _told(request: Request) -> tuple[dict[str, Any], dict[str, str]]:
    """The picture and the fields of a JSON body. Raises Problem 400 and 422."""
    body = b"".join([chunk async for chunk in timed(request.stream(), _JSON)])
    try:
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise Problem(400, "malformed", "the body is no JSON object") from error
    numbers = {  # JSON has one kind of number
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in document.items()
    }
    try:
        size = Size.model_validate(numbers, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:40]
        raise Problem(422, "bad-field", f"{where}: {first['msg']}") from error
    if empty := [name for name, value in document.items() if value is None]:
        raise Problem(422, "bad-field", f"{empty[0]}: leave it out rather than send null")
    suffix = f".{'png' if size.format in (None, 'same') else size.format}"
    header = size.model_dump(include={"width", "height", "frames", "channels"})
    fields = size.model_dump(exclude=set(header), exclude_none=True)
    texts = {name: _text(value) for name, value in fields.items()}
    return {**header, "bits": 8, "suffix": suffix}, texts


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
