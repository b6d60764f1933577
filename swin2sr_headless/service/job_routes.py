"""/jobs: many pictures, or one for which nobody waits."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse

from swin2sr_core.sentences import sentence

from .answers import TYPES, disposition, result_name
from .answers_schema import Cancelling, JobDocument
from .contracts import BINARY, FOUND, PICTURE, RANGED, READING, picture_body, problems
from .desk import Desk
from .errors import Problem
from .job_document import job_document
from .job_store import Job, JobPicture
from .jobs import Jobs

router = APIRouter()
EVENT_ID = {"type": "string", "pattern": "^[0-9]{1,18}$"}
_PIECE = 1 << 20


@router.post(
    "/jobs",
    status_code=202,
    openapi_extra=picture_body(many=True, headers=("Idempotency-Key",)),
    responses={202: {"model": JobDocument}, **problems(*READING)},
)
async def add(request: Request) -> Response:
    """Pictures (`file` repeated) to be made one after the other: 202 with the job's address."""
    desk: Desk = request.app.state.desk
    jobs: Jobs = request.app.state.jobs
    if desk.dispatcher.draining:
        text = sentence(
            "serve_job_draining", "this server is shutting down; send the job again later"
        )
        raise Problem(503, "draining", text, 5)
    form = await desk.read(request)
    try:
        if not form.files:
            raise Problem(422, "no-picture", "no picture came; send file=@photo.jpg")
        webhook = form.fields.pop("webhook", None)
        desk.wanted(form.fields)
        job = jobs.add(
            form,
            request.headers.get("idempotency-key"),
            owner=getattr(request.state, "owner", None),
            webhook=None if webhook is None else jobs.webhooks.check(webhook),
        )
    except BaseException:
        form.discard()
        raise
    return JSONResponse(
        job_document(jobs, request.app.state.access, job), 202, {"Location": f"/jobs/{job.id}"}
    )


@router.get("/jobs/{number}", responses={200: {"model": JobDocument}, **problems(*FOUND)})
async def state(number: str, request: Request) -> Response:
    """How far a job is."""
    state = request.app.state
    return JSONResponse(job_document(state.jobs, state.access, _job(request, number)))


@router.delete(
    "/jobs/{number}",
    status_code=202,
    responses={202: {"model": Cancelling}, **problems(*FOUND, 409)},
)
async def cancel(number: str, request: Request) -> Response:
    """Stop a job; 409 where it has ended."""
    jobs: Jobs = request.app.state.jobs
    job = _job(request, number)
    jobs.cancel(job)
    return JSONResponse({"status": "ok", "id": job.id, "state": "cancelling"}, 202)


@router.get(
    "/jobs/{number}/events",
    response_class=StreamingResponse,
    openapi_extra={
        "parameters": [{"name": "Last-Event-ID", "in": "header", "schema": EVENT_ID}],
    },
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **problems(*FOUND, 400),
    },
)
async def events(number: str, request: Request) -> Response:
    """Server-sent events, from the one after Last-Event-ID."""
    jobs: Jobs = request.app.state.jobs
    job = _job(request, number)
    last = request.headers.get("last-event-id", "0")
    if not re.fullmatch(EVENT_ID["pattern"], last):
        raise Problem(400, "malformed", "Last-Event-ID is a number")

    async def stream() -> AsyncIterator[str]:
        async for event in jobs.events(job.id, int(last)):
            if event is None:
                yield ": still here\n\n"
            else:
                data = json.dumps(event.data)
                yield f"id: {event.number}\nevent: {event.kind}\ndata: {data}\n\n"

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


@router.get(
    "/jobs/{number}/result",
    response_class=StreamingResponse,
    responses={
        200: {"content": {**PICTURE, "application/zip": {"schema": BINARY}}},
        **RANGED,
        **problems(*FOUND, 409),
    },
)
async def result(number: str, request: Request) -> Response:
    """The picture, or a ZIP of all that are done."""
    desk: Desk = request.app.state.desk
    job = _job(request, number)
    if len(job.pictures) == 1:
        return _picture_answer(desk, job.pictures[0])
    found = [(each, path) for each in job.pictures if (path := _path(desk, each)) is not None]
    if not found:
        raise Problem(409, "not-done", f"no picture of this job is done; its state is {job.state}")
    names = {}
    for each, path in found:
        name = result_name(each.name, each.report or {}, path.suffix)
        names[f"{each.number:02}_{name}" if name in names else name] = path
    headers = {"Content-Disposition": disposition("pictures.zip")}
    return StreamingResponse(_zipped(names), media_type="application/zip", headers=headers)


@router.get(
    "/jobs/{number}/result/{picture}",
    response_class=FileResponse,
    responses={200: {"content": PICTURE}, **RANGED, **problems(*FOUND, 409)},
)
async def one_result(number: str, picture: int, request: Request) -> Response:
    """One picture of a job, counted from 1."""
    job = _job(request, number)
    if not 1 <= picture <= len(job.pictures):
        raise Problem(404, "no-picture", f"this job has pictures 1 to {len(job.pictures)}")
    return _picture_answer(request.app.state.desk, job.pictures[picture - 1])


def _job(request: Request, number: str) -> Job:
    """Raises Problem 404, also where it is another key's."""
    job = request.app.state.jobs.store.job(number)
    owner = getattr(request.state, "owner", None)
    if job is None or (None not in (job.owner, owner) and job.owner != owner):
        raise Problem(404, "gone", "there is no such job; jobs are kept for a while only")
    return job


def _path(desk: Desk, picture: JobPicture) -> Path | None:
    return desk.spool.find_result(picture.result) if picture.state == "done" else None


def _picture_answer(desk: Desk, picture: JobPicture) -> Response:
    path = _path(desk, picture)
    if path is None:
        if picture.state == "done":
            raise Problem(404, "gone", "the result was kept for a while, and is gone")
        raise Problem(409, "not-done", f"the picture is not done; its state is {picture.state}")
    name = result_name(picture.name, picture.report or {}, path.suffix)
    headers = {"Content-Disposition": disposition(name)}
    return FileResponse(path, media_type=TYPES[path.suffix], headers=headers)


class _Pipe:
    """Takes what a ZIP writer writes, to be handed on."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        data = b"".join(self.pieces)
        self.pieces.clear()
        return data


def _zipped(names: dict[str, Path]) -> Iterator[bytes]:
    """A ZIP as it is made: pictures do not shrink, and are stored."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # pyright: ignore
        for name, path in names.items():
            with archive.open(name, "w", force_zip64=True) as entry, path.open("rb") as file:
                while data := file.read(_PIECE):
                    entry.write(data)
                    yield pipe.taken()
    yield pipe.taken()
