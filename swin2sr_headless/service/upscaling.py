"""POST /upscale: one picture in, one out, while the client waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from swin2sr_core.sentences import sentence

from .answers import TYPES, picture_answer, report_of
from .answers_schema import JobDocument, Report
from .contracts import FOUND, PICTURE, RANGED, READING, picture_body, problems
from .desk import Desk, Order, problem_of
from .dispatcher import Refused, Ticket
from .errors import Problem
from .job_routes import add as add_job
from .uploads import Upload

router = APIRouter()


@router.post(
    "/upscale",
    openapi_extra=picture_body(headers=("Idempotency-Key", "Prefer")),
    responses={
        200: {"model": Report, "description": "the picture, or its report", "content": PICTURE},
        202: {"model": JobDocument, "description": "with Prefer: respond-async, a job"},
        **problems(*READING, 500, 504),
    },
)
async def upscale(request: Request) -> Response:
    """Enlarge a picture: multipart `image` or `file` with fields, or the picture as the body."""
    desk: Desk = request.app.state.desk
    if "respond-async" in request.headers.get("prefer", ""):
        return await add_job(request)
    form = await desk.read(request)
    try:
        if len(form.files) != 1:
            count = len(form.files)
            raise Problem(
                422,
                "one-picture",
                "there is no picture in the form; send it as image=@photo.jpg"
                if not count
                else f"one picture at a time here, got {count}; send many to /jobs",
            )
        wanted = desk.wanted(form.fields)
        _check_place(desk, form.files[0])
        order = await desk.look(form.files[0], wanted)
        ticket, done = await made(desk, order, request)
    finally:
        form.discard()
    report = report_of(order, ticket, done)
    wants_json = request.headers.get("accept", "").startswith("application/json")
    if order.request.as_json or wants_json:
        return JSONResponse(report)
    return picture_answer(order, ticket, report)


@router.get(
    "/results/{number}",
    response_class=FileResponse,
    responses={200: {"content": PICTURE}, **RANGED, **problems(*FOUND)},
)
async def result(number: str, request: Request) -> Response:
    """A picture that was made lately."""
    desk: Desk = request.app.state.desk
    path = desk.spool.find_result(number)
    if path is None:
        raise Problem(404, "gone", "there is no such result; results are kept for a while only")
    return FileResponse(path, media_type=TYPES[path.suffix])


async def made(desk: Desk, order: Order, request: Request) -> tuple[Ticket, dict[str, Any]]:
    """Computed, unless the client goes or its time is over."""
    ticket = desk.ticket(order)
    watching = asyncio.create_task(_gone(request, ticket))
    try:
        desk.dispatcher.enter(ticket)
        done = await asyncio.wait_for(
            desk.dispatcher.run(ticket, lambda _message: None), order.request.timeout
        )
    except asyncio.TimeoutError as error:
        text = sentence("serve_deadline", "the picture took longer than its timeout")
        raise Problem(504, "deadline", text) from error
    except Exception as error:
        raise problem_of(error) from error
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    return ticket, done


def _check_place(desk: Desk, upload: Upload) -> None:
    """Before the gate looks: when all is full, it would have no time for it. Raises Problem."""
    try:
        desk.dispatcher.check(upload.size)
    except Refused as error:
        raise problem_of(error) from error


async def _gone(request: Request, ticket: Ticket) -> None:
    """Stop the work when nobody waits for it any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    ticket.stop.set()
