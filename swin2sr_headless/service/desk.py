"""Where pictures are taken in: read into the spool, looked at, and given a ticket."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request as HttpRequest
from starlette.requests import ClientDisconnect

from swin2sr_core.errors import InputError
from swin2sr_core.sentences import sentence

from .admission import Forecast
from .dispatcher import Dispatcher, Refused, Ticket
from .errors import Problem, no_room
from .gate import Gate, GateRefused
from .options import Request, request_of
from .pool import Cancelled, Task, TaskFailed, WorkerDied
from .settings import Settings
from .spool import Spool
from .uploads import Form, Upload, read_multipart, read_raw, timed


@dataclass(frozen=True)
class Order:
    """A picture, what is wanted of it, and what the gate found."""

    upload: Upload
    request: Request
    header: dict[str, Any]
    forecast: dict[str, Any]
    seconds: float | None


@dataclass
class Desk:
    """All that a request needs."""

    settings: Settings
    spool: Spool
    gate: Gate
    dispatcher: Dispatcher

    async def read(self, http: HttpRequest) -> Form:
        """The body's pictures, in the spool, and fields; those of the URL count, too.

        Raises Problem, also where the client goes.
        """
        if http.query_params:
            told = {key: each for key, each in http.query_params.items() if key != "webhook"}
            self.wanted(told)  # before anything is read
        kind = http.headers.get("content-type", "")
        length = http.headers.get("content-length", "")
        self.spool.check_room(int(length) if length.isdigit() else 0)
        chunks = timed(http.stream(), self.settings.reading)
        try:
            if kind.lower().startswith("multipart/form-data"):
                form = await read_multipart(chunks, kind, self.spool)
            elif kind.lower().startswith(("image/", "application/octet-stream")):
                form = await read_raw(chunks, self.spool)
            else:
                raise Problem(
                    415,
                    "no-picture",
                    "send the picture as multipart/form-data (image=@photo.jpg), or as the body "
                    "with an image/... Content-Type",
                )
        except ClientDisconnect as error:
            raise Problem(499, "cancelled", "the request was cancelled") from error
        form.fields = {**dict(http.query_params), **form.fields}
        return form

    def wanted(self, fields: Mapping[str, str]) -> Request:
        """Raises Problem 422."""
        try:
            return request_of(fields, self.settings.defaults)
        except InputError as error:
            raise Problem(422, "bad-field", str(error)) from error

    async def look(self, upload: Upload, request: Request) -> Order:
        """Through the gate. Raises Problem 413, 422, or 503 while no worker has the model."""
        answer = await self._ask({"path": str(upload.path)}, request)
        return Order(
            upload, request, answer["header"], answer["forecast"], self._seconds(request, answer)
        )

    async def plan_for_size(self, header: dict[str, Any], request: Request) -> dict[str, Any]:
        """The forecast for a picture that is only told of."""
        answer = await self._ask({"header": header}, request)
        return {**answer["forecast"], "seconds": self._seconds(request, answer)}

    async def _ask(self, what: dict[str, Any], request: Request) -> dict[str, Any]:
        facts = self.dispatcher.pool.models.get(request.model)
        if facts is None:
            text = sentence("serve_not_ready", "the model is being loaded; try again in a moment")
            raise Problem(503, "not-ready", text, 3)
        message = {
            **what,
            "options": list(request.options),
            "format": request.format,
            "first_only": request.first_only,
            "prospect": facts.prospect,
            "free_bytes": facts.free_bytes,
            "program_bytes": facts.program_bytes,
        }
        try:
            return await self.gate.ask(message)
        except GateRefused as error:
            status, kind = (413, "too-large") if error.too_large else (422, "bad-picture")
            raise Problem(status, kind, str(error)) from error

    def _seconds(self, request: Request, answer: dict[str, Any]) -> float | None:
        forecast = answer["forecast"]
        return self.dispatcher.seconds_for(request.model, forecast["strategy"], forecast["work"])

    # -- running -------------------------------------------------------------------------------

    def ticket(self, order: Order, number: str | None = None) -> Ticket:
        """For a picture whose result will lie in the spool under this number."""
        number = number or secrets.token_hex(16)
        output = self.spool.result(number, order.header["suffix"])
        request = order.request
        task = Task(
            number,
            order.upload.path,
            output,
            request.model,
            request.options,
            request.first_only,
            order.forecast["bytes"],
            **order.forecast["memory"],
        )
        return Ticket(
            task,
            Forecast(order.forecast["bytes"], order.seconds),
            order.upload.sha256,
            order.upload.size,
            order.forecast["strategy"],
            order.forecast["work"],
            request.timeout,
        )


def problem_of(error: Exception) -> Problem:
    """What stopped a picture, as an answer."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refused):
        refusal = error.refusal
        kind = {500: "poison", 504: "deadline"}.get(refusal.status, "full")
        return Problem(refusal.status, kind, refusal.reason, refusal.retry_after)
    if isinstance(error, TaskFailed) and error.disk_full:
        return no_room()
    if isinstance(error, TaskFailed):
        kind = "bad-picture" if error.bad_input else "failed"
        return Problem(422 if error.bad_input else 500, kind, str(error))
    if isinstance(error, WorkerDied):
        text = sentence("serve_worker_died", "the picture ended two workers; it is not tried again")
        return Problem(500, "worker-died", text)
    if isinstance(error, Cancelled):
        return Problem(499, "cancelled", "the request was cancelled")
    raise error
