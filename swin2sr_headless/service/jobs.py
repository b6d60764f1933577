"""Jobs on their way: pictures one after the other, while nobody has to wait for them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from swin2sr_core.errors import disk_is_full

from .answers import report_of
from .desk import Desk, problem_of
from .dispatcher import Ticket
from .errors import Problem
from .job_store import ENDED, Event, Job, JobPicture, JobStore
from .pool import Cancelled
from .uploads import Form, Upload
from .webhooks import Webhooks

HEARTBEAT_SECONDS = 15.0
_SWEEP_SECONDS = 30.0
_TELL_SECONDS = 0.5
_READY_SECONDS = 0.5
_ROOM_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass
class Jobs:
    """All jobs of this server."""

    desk: Desk
    store: JobStore
    webhooks: Webhooks = field(init=False)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _tickets: dict[str, Ticket] = field(default_factory=dict)
    _cancelled: set[str] = field(default_factory=set)
    _news: dict[str, asyncio.Event] = field(default_factory=dict)
    _sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go on with what an earlier process left."""
        for job in self.store.open():
            self._begin(job.id)
        self.webhooks.start()
        self._sweeping = asyncio.create_task(self._sweep())

    def pause(self) -> None:
        """Begin no further picture: the next process will."""
        for ticket in self._tickets.values():
            if ticket.begun is None:
                ticket.stop.set()

    async def stop(self) -> None:
        """What has not ended stays queued in the store."""
        tasks = [*self._tasks.values(), *([self._sweeping] if self._sweeping else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.webhooks.stop()
        self.store.close()

    def add(
        self,
        form: Form,
        key: str | None,
        *,
        owner: str | None = None,
        webhook: str | None = None,
    ) -> Job:
        """A new job, or the one that the same key made before. The form's files become its own.

        key: the client's Idempotency-Key; each owner has keys of its own. Raises Problem 422 where
        it came with something else.
        """
        print_ = _fingerprint(form)
        key = f"{owner or ''}:{key}" if key else None
        if key and (known := self.store.with_key(key)) is not None:
            form.discard()
            if known.fingerprint != print_:
                raise Problem(
                    422, "key-reused", "this Idempotency-Key has been sent with another request"
                )
            return known
        pictures = tuple(
            JobPicture(
                number,
                upload.name,
                upload.path.name,
                upload.sha256,
                upload.size,
                "queued",
                secrets.token_hex(16),
            )
            for number, upload in enumerate(form.files, 1)
        )
        job = Job(
            *(secrets.token_hex(16), time.time(), None, "queued", form.fields, print_, pictures),
            owner=owner,
            webhook=webhook,
        )
        self.store.add(job, key)
        self._tell(job.id, "queued", {"pictures": len(pictures)})
        self._begin(job.id)
        return job

    def cancel(self, job: Job) -> None:
        """Raises Problem 409 where it has ended."""
        if job.state in ENDED:
            raise Problem(409, "ended", f"the job has ended already: {job.state}")
        self._cancelled.add(job.id)
        if (ticket := self._tickets.get(job.id)) is not None:
            ticket.stop.set()

    def position(self, job: Job) -> dict[str, Any]:
        """Where it stands: the queue, and how much of the picture at work is done."""
        ticket = self._tickets.get(job.id)
        if ticket is None:
            return {}
        position, wait = self.desk.dispatcher.position(ticket)
        seconds = ticket.forecast.seconds
        left = None if seconds is None else round(wait + seconds * (1 - ticket.done), 1)
        return {"position": position, "seconds_left": left, "progress": ticket.done}

    async def events(self, number: str, after: int) -> AsyncIterator[Event | None]:
        """What happened since event `after`, as it happens, to the job's end; None: a heartbeat."""
        while True:
            news = self._news.setdefault(number, asyncio.Event())
            for event in self.store.events_after(number, after):
                after = event.number
                yield event
            job = self.store.job(number)
            if job is None or job.state in ENDED:
                return
            try:
                await asyncio.wait_for(news.wait(), HEARTBEAT_SECONDS)
            except asyncio.TimeoutError:
                yield None

    # -- one job -------------------------------------------------------------------------------

    def _begin(self, number: str) -> None:
        task = self._tasks[number] = asyncio.create_task(self._run(number))
        task.add_done_callback(lambda _task: self._tasks.pop(number, None))

    def _tell(self, number: str, kind: str, data: dict[str, Any]) -> None:
        self.store.add_event(number, kind, data)
        if (news := self._news.pop(number, None)) is not None:
            news.set()

    async def _run(self, number: str) -> None:
        """To its end; a full disk makes it wait, and fails nothing."""
        while not self.desk.dispatcher.pool.models:
            await asyncio.sleep(_READY_SECONDS)
        told = False
        while True:
            try:
                await self._go_on(number)
            except (OSError, Problem) as error:
                if not _no_room(error):
                    raise
            else:
                return
            if not told:
                logger.warning("a job waits: there is no room in %s", self.desk.spool.folder)
            told = True
            await asyncio.sleep(_ROOM_SECONDS)

    async def _go_on(self, number: str) -> None:
        job = self.store.job(number)
        assert job is not None
        for picture in job.pictures:
            if picture.state in ENDED:
                continue
            if number in self._cancelled:
                self._drop(job, picture)
            elif self.desk.dispatcher.draining:
                return
            else:
                await self._picture(job, picture)
        self._end(number)

    def _end(self, number: str) -> None:
        job = self.store.job(number)
        assert job is not None
        states = {picture.state for picture in job.pictures}
        if number in self._cancelled:
            state = "cancelled"
            self._cancelled.discard(number)
        elif states & {"queued", "running"}:
            return  # this process ends; the next one goes on
        else:
            state = "done" if "done" in states else "failed"
        self.store.set_state(number, state)
        self._tell(number, state, {"state": state})
        if (ended := self.store.job(number)) is not None:
            self.webhooks.tell(ended)

    async def _picture(self, job: Job, picture: JobPicture) -> None:
        desk, store = self.desk, self.store
        path = desk.spool.uploads / picture.upload
        upload = Upload(path, picture.name, picture.size, picture.sha256)
        try:
            order = await desk.look(upload, desk.wanted(job.fields))
            ticket = self._tickets[job.id] = desk.ticket(order, picture.result)
            if job.id in self._cancelled:  # while the gate looked at it
                raise Cancelled
            self._tell(
                job.id,
                "planned",
                {"picture": picture.number, **_planned(order.forecast), "seconds": order.seconds},
            )
            store.set_state(job.id, "running")
            desk.dispatcher.enter(ticket, unlimited=True)  # from here on it must be run
            done = await desk.dispatcher.run(ticket, self._teller(job.id, picture.number))
        except Cancelled:
            if job.id not in self._cancelled:
                return  # this process ends; the next one goes on
            store.set_picture(job.id, picture.number, "cancelled")
        except Exception as error:
            found = problem_of(error)
            if _no_room(found):
                raise found from error
            problem = found.to_dict()
            store.set_picture(job.id, picture.number, "failed", problem=problem)
            self._tell(job.id, "picture-failed", {"picture": picture.number, "problem": problem})
        else:
            report = report_of(order, ticket, done)
            report["result"] = f"/jobs/{job.id}/result/{picture.number}"
            store.set_picture(job.id, picture.number, "done", report=report)
            self._tell(job.id, "picture-done", {"picture": picture.number, "report": report})
        finally:
            self._tickets.pop(job.id, None)
        path.unlink(missing_ok=True)

    def _drop(self, job: Job, picture: JobPicture) -> None:
        """One that was not begun before its job was cancelled."""
        self.store.set_picture(job.id, picture.number, "cancelled")
        (self.desk.spool.uploads / picture.upload).unlink(missing_ok=True)

    def _teller(self, number: str, picture: int) -> Any:
        last = 0.0

        def tell(message: dict[str, Any]) -> None:
            nonlocal last
            now = time.monotonic()
            if message["say"] == "progress" and now >= last + _TELL_SECONDS:
                last = now
                with contextlib.suppress(OSError):  # of a full disk: the picture goes on
                    self._tell(number, "progress", {"picture": picture, "done": message["done"]})

        return tell

    async def _sweep(self) -> None:
        """Results and uploads that nobody needs any more go."""
        spool = self.desk.spool
        while True:
            before = time.time() - spool.keep
            with contextlib.suppress(OSError):
                self.store.forget(before)
            with contextlib.suppress(OSError):
                spool.sweep(self.store.files(before))
            await asyncio.sleep(min(_SWEEP_SECONDS, spool.keep))


def _no_room(error: Exception) -> bool:
    return disk_is_full(error) or (isinstance(error, Problem) and error.kind == "spool-full")


def _planned(forecast: dict[str, Any]) -> dict[str, Any]:
    wanted = ("output_size", "strategy", "exact", "bytes", "notices", "words")
    return {name: forecast[name] for name in wanted}


def _fingerprint(form: Form) -> str:
    """Of what was asked for, so that a key can be told to be the same request's."""
    parts = [*sorted(form.fields.items()), *[(upload.sha256, "") for upload in form.files]]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
