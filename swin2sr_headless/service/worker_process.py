"""A worker as its pool sees it: a process with models, and the pictures that it has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from .child import Child, Message
from .pool import Cancelled, Task, TaskFailed, Tell, WorkerDied

logger = logging.getLogger(__name__)

CANCEL_SECONDS = 5.0
"""After this a worker that was told to stop is killed."""
_MODULE = "swin2sr_headless.service.worker"
_ENDS = ("done", "failed")


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

    async def load(self, message: Message, hear: Callable[[Message], None]) -> str | None:
        """Have it load its models, of each of which `hear` is told. What went wrong, else None."""
        self._child.send({"do": "load", **message})
        while (answer := await self._child.receive()) is not None:
            if answer["say"] == "ready":
                return None
            if answer["say"] == "failed":
                return answer["error"]
            hear(answer)
        return "it ended while it started"

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
                return await self._outcome(call, tell, stop)
            except (Cancelled, asyncio.CancelledError):
                await self._cancel(task, call)
                raise

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

    async def _outcome(
        self, call: asyncio.Queue[Message | None], tell: Tell, stop: asyncio.Event
    ) -> Message:
        stopping = asyncio.create_task(stop.wait())
        try:
            while True:
                coming = asyncio.create_task(call.get())
                await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    raise Cancelled
                message = coming.result()
                if message is None:
                    raise WorkerDied
                if message["say"] in _ENDS:
                    return _judged(message)
                tell(message)
        finally:
            stopping.cancel()

    async def _cancel(self, task: Task, call: asyncio.Queue[Message | None]) -> None:
        """Ask it to stop this picture, and wait for that. Others in a worker that is killed start
        again."""
        self._child.send({"do": "cancel", "id": task.id})

        async def end() -> None:
            while (message := await call.get()) is not None and message["say"] not in _ENDS:
                pass

        try:
            await asyncio.wait_for(end(), CANCEL_SECONDS)
        except asyncio.TimeoutError:
            logger.warning("a worker did not stop within %g s and was killed", CANCEL_SECONDS)
            self._child.kill()
        task.output.unlink(missing_ok=True)


def _judged(message: Message) -> Message:
    if message["say"] == "done":
        return message
    if message.get("cancelled"):
        raise Cancelled
    raise TaskFailed(message["error"], message["bad_input"])
