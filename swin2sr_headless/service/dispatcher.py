"""From a file to a result: admission, the queue, one retry, and pictures that kill workers."""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from swin2sr_core.sentences import sentence

from .admission import Forecast, Limits, Load, Reject, State, admit, place, wait_seconds
from .pool import Cancelled, Pool, Task, Tell, WorkerDied

POISON_SECONDS = 3600.0
_RATES, _SOME = 15, 5
_UNKNOWN = Forecast(0, None)
_Made = tuple[float, float]
"""Of a picture: its work in a second, and its work."""


class Refused(Exception):
    """A picture that is not taken, with HTTP's status for it."""

    def __init__(self, refusal: Reject) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


@dataclass
class Ticket:
    """One picture that was admitted.

    begun: when the network did; alone: a worker died of it, or of another that it had then.
    """

    task: Task
    forecast: Forecast
    sha256: str
    upload_bytes: int
    strategy: str
    work: float = 0.0
    timeout: float | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    done: float = 0.0
    begun: float | None = None
    number: int = 0
    worker: int | None = None
    alone: bool = False
    _turn: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Counts:
    """What has happened since the start."""

    retries: int = 0
    cancels: int = 0
    died: int = 0
    done: int = 0


class Dispatcher:
    """Gives tickets their turn, in the order in which they came."""

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self.pool, self.limits = pool, limits
        pool.on_change = self._advance
        self.draining = False
        self.on_done: Callable[[str, dict[str, Any], float], None] = lambda *_: None
        self.counts = Counts()
        self.waiting: list[Ticket] = []
        self.running: list[Ticket] = []
        self._rates: dict[tuple[str, str], deque[_Made]] = {}
        self._freed: dict[int, float] = {}
        self._poison: dict[str, float] = {}
        self._entered = 0

    # -- what is known -------------------------------------------------------------------------

    def seconds_for(self, model: str, strategy: str, work: float) -> float | None:
        """By what this server has measured: with this strategy, or with any."""
        rates = self._rates.get((model, strategy))
        if rates:
            return work / _usual_rate(rates)
        facts = self.pool.models.get(model)
        return work / facts.rate if facts is not None else None

    def state(self) -> State:
        left: dict[int | None, float] = {}
        for ticket in self.running:
            seconds = self._forecast(ticket).seconds or 0.0
            spent = 0.0 if ticket.begun is None else time.monotonic() - ticket.begun
            left[ticket.worker] = left.get(ticket.worker, 0.0) + max(0.0, seconds - spent)
        return State(
            workers=len(self.pool.workers),
            running=tuple(left.values()),
            waiting=tuple(map(self._forecast, self.waiting)),
            upload_bytes=sum(ticket.upload_bytes for ticket in self.waiting),
            draining=self.draining,
        )

    def _forecast(self, ticket: Ticket) -> Forecast:
        """By what is known now: many pictures may have been made since it came."""
        seconds = self.seconds_for(ticket.task.model, ticket.strategy, ticket.work)
        return Forecast(ticket.forecast.bytes, seconds)

    @property
    def held_bytes(self) -> int:
        """Of all pictures that workers have, by forecast, models counted."""
        return sum(map(self._bytes, self.running))

    @property
    def ready(self) -> int:
        """Workers that take pictures."""
        return sum(worker.ready for worker in self.pool.workers)

    def position(self, ticket: Ticket) -> tuple[int, float]:
        """Place in the queue (0: it runs) and seconds until it starts."""
        if ticket not in self.waiting:
            return 0, 0.0
        before = self.waiting.index(ticket)
        state = self.state()
        ahead = State(state.workers, state.running, state.waiting[:before])
        return before + 1, wait_seconds(ahead)

    # -- what is done --------------------------------------------------------------------------

    def enter(self, ticket: Ticket, *, unlimited: bool = False) -> None:
        """Take it into the queue. `unlimited`: a job's, which may wait as long as it likes.

        Raises Refused.
        """
        if time.monotonic() < self._poison.get(ticket.sha256, 0.0):
            text = sentence(
                "serve_poison", "this picture has ended two workers and is not tried again"
            )
            raise Refused(Reject(500, text))
        if not unlimited:
            self.check(ticket.upload_bytes, ticket.forecast, ticket.timeout)
        self._entered += 1
        ticket.number = self._entered
        self.waiting.append(ticket)
        self._advance()

    def check(
        self,
        upload_bytes: int,
        forecast: Forecast = _UNKNOWN,
        timeout: float | None = None,
    ) -> None:
        """Whether there is a place; without a forecast, whether there is one for any picture.

        Raises Refused.
        """
        decision = admit(forecast, upload_bytes, self.limits, self.state(), timeout)
        if isinstance(decision, Reject):
            raise Refused(decision)

    async def run(self, ticket: Ticket, tell: Tell) -> dict[str, Any]:
        """The worker's `done`. Raises Cancelled, TaskFailed, and WorkerDied after a retry."""
        try:
            done, seconds = await self._attempts(ticket, tell)
        except Cancelled:
            self.counts.cancels += 1
            raise
        finally:
            self._leave(ticket)
        self.counts.done += 1
        self.on_done(ticket.task.model, done, seconds)
        return done

    def cancel_all(self) -> None:
        """Have everything that waits or runs end."""
        for ticket in (*self.waiting, *self.running):
            ticket.stop.set()

    async def _turn_of(self, ticket: Ticket) -> None:
        turn, stop = (
            asyncio.create_task(ticket._turn.wait()),
            asyncio.create_task(ticket.stop.wait()),
        )
        try:
            await asyncio.wait({turn, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            turn.cancel()
            stop.cancel()
        if ticket.stop.is_set():
            raise Cancelled

    async def _attempts(self, ticket: Ticket, tell: Tell) -> tuple[dict[str, Any], float]:
        """`done`, and the seconds for this picture alone.

        Who was at work when a worker died cannot be known where it had two: each is made once
        more, with a worker to itself, and is to blame if that one dies as well.
        """
        while True:
            await self._turn_of(ticket)
            try:
                return await self._once(ticket, tell)
            except WorkerDied:
                if ticket.alone:
                    self.counts.died += 1
                    self._poison[ticket.sha256] = time.monotonic() + POISON_SECONDS
                    raise
                self.counts.retries += 1
                self._leave(ticket, again=True)

    async def _once(self, ticket: Ticket, tell: Tell) -> tuple[dict[str, Any], float]:
        assert ticket.worker is not None
        given = time.monotonic()

        def heard(message: dict[str, Any]) -> None:
            if message["say"] == "begun":
                ticket.begun = time.monotonic()
            ticket.done = message.get("done", ticket.done)
            tell(message)

        try:
            done = await self.pool.run(ticket.task, ticket.worker, heard, ticket.stop)
        finally:
            freed, now = self._freed.get(ticket.worker, 0.0), time.monotonic()
            self._freed[ticket.worker] = now
        self._learn(ticket, done, now - max(given, freed))
        return done, now - given - done["waited"]

    def _learn(self, ticket: Ticket, done: dict[str, Any], seconds: float) -> None:
        """seconds: what the worker took for it, reading and writing counted where nothing else was
        made meanwhile, as they put off the next one just so."""
        if done["work"] > 0 and seconds > 0:
            key = ticket.task.model, done["report"]["strategy"]
            rates = self._rates.setdefault(key, deque(maxlen=_RATES))
            rates.append((done["work"] / seconds, done["work"]))

    def _leave(self, ticket: Ticket, *, again: bool = False) -> None:
        """Its place is another's. again: it waits for one anew, before all that came later."""
        for tickets in (self.waiting, self.running):
            if ticket in tickets:
                tickets.remove(ticket)
        if again:
            ticket.alone, ticket.worker, ticket.begun, ticket.done = True, None, None, 0.0
            ticket._turn.clear()
            insort(self.waiting, ticket, key=lambda each: each.number)
        self._advance()

    def _advance(self) -> None:
        while self.waiting:
            ticket = self.waiting[0]
            worker = place(self._bytes(ticket), ticket.alone, self._loads(), self.pool.rooms)
            if worker is None:
                return
            ticket.worker = worker
            self.running.append(self.waiting.pop(0))
            ticket._turn.set()

    def _bytes(self, ticket: Ticket) -> int:
        """With the model's."""
        facts = self.pool.models.get(ticket.task.model)
        return ticket.forecast.bytes + (facts.weight_bytes if facts is not None else 0)

    def _loads(self) -> list[Load | None]:
        held: dict[int | None, list[Ticket]] = {}
        for ticket in self.running:
            held.setdefault(ticket.worker, []).append(ticket)
        return [
            Load(
                worker.device,
                tuple(self._bytes(ticket) for ticket in held.get(number, ())),
                any(ticket.alone for ticket in held.get(number, ())),
            )
            if worker.ready
            else None
            for number, worker in enumerate(self.pool.workers)
        ]


def _usual_rate(made: Collection[_Made]) -> float:
    """All work by all seconds, for a wait is a sum of those: a median would forget the slow ones.

    The slowest of some is left out: the machine may have slept.
    """
    counted = sorted(made)[int(len(made) >= _SOME) :]
    return sum(work for _, work in counted) / sum(work / rate for rate, work in counted)
