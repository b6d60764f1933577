"""A worker as its pool sees it: a process with models, and the pictures that it has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from .child import Child, Message
from .pool import ENDS, Cancelled, Task, Tell, WorkerDied, judged

logger = logging.getLogger(__name__)

CANCEL_SECONDS = 5.0
"""After this a worker that was told to stop is killed."""
_MODULE = "swin2sr_headless.service.worker"


class LoadFailed(Exception):
    """A worker has not got its models."""


class WorkerProcess:
    """Several pictures at once, each of which hears of its own."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._calls: dict[str, asyncio.Queue[Message | None]] = {}

    @classmethod
    async def start(cls, environment: Mapping[str, str]) -> WorkerProcess:
        """Everything is imported, and nothing loaded, once it is there."""
        # one arena, or each thread's memory would be taken and cleared anew for every picture
        environment = {"MALLOC_ARENA_MAX": "1", **environment}
        child = await Child.start(_MODULE, environment)
        await child.receive()
        return cls(child)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def busy(self) -> bool:
        """Whether it has pictures."""
        return bool(self._calls)

    async def load(self, message: Message) -> tuple[list[Message], Message]:
        """Have it load its models: what it says of each, and that it is ready.

        Raises LoadFailed.
        """
        loaded: list[Message] = []
        self._child.send({"do": "load", **message})
        while (answer := await self._child.receive()) is not None:
            if answer["say"] == "ready":
                return loaded, answer
            if answer["say"] == "failed":
                raise LoadFailed(answer["error"])
            loaded.append(answer)
        raise LoadFailed("it ended while it started")

    async def listen(self) -> None:
        """Hand on what it says, until it is gone and all its pictures know."""
        while (message := await self._child.receive()) is not None:
            if (call := self._calls.get(message["id"])) is not None:
                call.put_nowait(message)
        await self._child.ended()
        for call in self._calls.values():
            call.put_nowait(None)

    async def run(self, task: Task, tell: Tell, stop: asyncio.Event) -> Message:
        """See `Pool.run`. Whoever is interrupted here leaves no work behind."""
        with self._call(task) as call:
            self._child.send({"do": "run", **task.to_dict()})
            try:
                last = await _last(call, tell, stop)
            except (Cancelled, asyncio.CancelledError):
                await self._cancel(task, call)
                raise
        return judged(last)

    async def end(self, patience: float) -> None:
        await self._child.end(patience)

    @contextmanager
    def _call(self, task: Task) -> Iterator[asyncio.Queue[Message | None]]:
        if not self.alive:
            raise WorkerDied
        call = self._calls[task.id] = asyncio.Queue()
        try:
            yield call
        finally:
            del self._calls[task.id]

    async def _cancel(self, task: Task, call: asyncio.Queue[Message | None]) -> None:
        """Ask it to stop this picture, and wait for that. Others in a worker that is killed start
        again."""
        self._child.send({"do": "cancel", "id": task.id})

        async def end() -> None:
            while (message := await call.get()) is not None and message["say"] not in ENDS:
                pass

        try:
            await asyncio.wait_for(end(), CANCEL_SECONDS)
        except asyncio.TimeoutError:
            logger.warning("a worker did not stop within %g s and was killed", CANCEL_SECONDS)
            self._child.kill()
        task.output.unlink(missing_ok=True)


async def _last(call: asyncio.Queue[Message | None], tell: Tell, stop: asyncio.Event) -> Message:
    """The message that ends a picture. Raises WorkerDied, and Cancelled at `stop`."""

    async def tell_stop() -> None:
        await stop.wait()
        call.put_nowait({"say": "stop"})

    stopping = asyncio.create_task(tell_stop())
    try:
        while (message := await call.get()) is not None:
            if message["say"] == "stop":
                raise Cancelled
            if message["say"] in ENDS:
                return message
            tell(message)
        raise WorkerDied
    finally:
        stopping.cancel()
