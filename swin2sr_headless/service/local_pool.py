"""Workers on this machine: a process for each device, replaced when it dies, and a spare one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .child import Child, Message
from .pool import Cancelled, ModelFacts, Task, TaskFailed, Tell, WorkerDied

logger = logging.getLogger(__name__)

CANCEL_SECONDS = 5.0
"""After this a worker that was told to stop is killed."""
_AGAIN_SECONDS = 5.0
_MODULE = "swin2sr_headless.service.worker"


@dataclass
class _Slot:
    """A place for a worker on one device."""

    device: str
    child: Child | None = None
    ready: bool = False


@dataclass
class LocalPool:
    """devices: one worker on each; environment: what its process gets besides ours."""

    devices: Sequence[str]
    names: Sequence[str]
    precision: str = "auto"
    environment: Mapping[str, str] = field(default_factory=dict)
    keep_spare: bool = True
    models: dict[str, ModelFacts] = field(default_factory=dict)
    problem: str | None = None
    restarts: int = 0
    _free: asyncio.Queue[tuple[_Slot, Child]] = field(default_factory=asyncio.Queue)
    _slots: list[_Slot] = field(default_factory=list)
    _spare: asyncio.Task[Child] | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _stopping: bool = False

    @property
    def capacity(self) -> int:
        return len(self.devices)

    @property
    def workers(self) -> list[dict[str, Any]]:
        """Device, process and state of each."""
        return [
            {
                "device": slot.device,
                "pid": slot.child.pid if slot.child else None,
                "ready": slot.ready,
            }
            for slot in self._slots
        ]

    async def start(self) -> None:
        """Begin to start all workers; `models` fills as they load."""
        self._slots = [_Slot(device) for device in self.devices]
        for slot in self._slots:
            self._begin(slot)

    async def run(self, task: Task, tell: Tell, stop: asyncio.Event) -> Message:
        """See `Pool.run`."""
        slot, child = await _first(self._free.get(), stop)
        while not child.alive:  # it died idle, and another one takes its place
            slot, child = await _first(self._free.get(), stop)
        child.busy = True
        child.send({"do": "run", **task.to_dict()})
        try:
            return await self._outcome(child, task, tell, stop)
        finally:
            # whoever is interrupted here leaves a worker at work: it is not for the next one
            if child.alive and not child.busy:
                self._free.put_nowait((slot, child))
            else:
                child.kill()
                self._replace(slot)

    async def stop(self) -> None:
        """End all processes."""
        self._stopping = True
        for task in (*self._tasks, *([self._spare] if self._spare else [])):
            if not task.done():
                task.cancel()
        children = [slot.child for slot in self._slots if slot.child is not None]
        if self._spare is not None:
            with suppress(asyncio.CancelledError, OSError):
                children.append(await self._spare)
        await asyncio.gather(*(child.end(0.5) for child in children))

    async def _outcome(self, child: Child, task: Task, tell: Tell, stop: asyncio.Event) -> Message:
        stopping = asyncio.create_task(stop.wait())
        try:
            while True:
                coming = asyncio.create_task(child.receive())
                await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    await self._cancelled(child, task, coming)
                message = await coming
                if message is None:
                    raise WorkerDied
                if message["say"] in ("done", "failed"):
                    child.busy = False
                    return _judged(message)
                tell(message)
        finally:
            stopping.cancel()

    async def _cancelled(self, child: Child, task: Task, coming: asyncio.Task[Any]) -> None:
        """Ask it to stop, and wait for that. Raises Cancelled in any case."""
        child.send({"do": "cancel", "id": task.id})

        async def end() -> None:
            message = await coming
            while message is not None and message["say"] not in ("done", "failed"):
                message = await child.receive()
            child.busy = message is None

        try:
            await asyncio.wait_for(end(), CANCEL_SECONDS)
        except asyncio.TimeoutError:
            logger.warning("a worker did not stop within %g s and was killed", CANCEL_SECONDS)
        raise Cancelled

    # -- processes -----------------------------------------------------------------------------

    def _begin(self, slot: _Slot) -> None:
        self._keep(self._bring_up(slot))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, slot: _Slot, child: Child) -> None:
        """Replace a worker that dies while it has nothing to do."""
        await child.ended()
        if not child.busy and slot.child is child:
            self._replace(slot)

    def _replace(self, slot: _Slot) -> None:
        slot.ready = False
        if not self._stopping:
            self.restarts += 1
            self._begin(slot)

    async def _bring_up(self, slot: _Slot) -> None:
        """A process with its models in the slot, however often that takes."""
        while not self._stopping:
            slot.child = await self._take_spare()
            slot.child.send(
                {
                    "do": "load",
                    "models": list(self.names),
                    "device": slot.device,
                    "precision": self.precision,
                }
            )
            if await self._loaded(slot.child):
                slot.ready, self.problem = True, None
                self._free.put_nowait((slot, slot.child))
                self._keep(self._watch(slot, slot.child))
                if self.keep_spare and self._spare is None:
                    self._spare = asyncio.create_task(self._new_child())
                return
            await slot.child.end(0.5)
            logger.error("a worker on %s could not load its model: %s", slot.device, self.problem)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _take_spare(self) -> Child:
        spare, self._spare = self._spare, None
        if spare is not None:
            child = await spare
            if child.alive:
                return child
        return await self._new_child()

    async def _new_child(self) -> Child:
        child = await Child.start(_MODULE, self.environment)
        await child.receive()  # "started": everything is imported
        return child

    async def _loaded(self, child: Child) -> bool:
        while (message := await child.receive()) is not None:
            if message["say"] == "ready":
                return True
            if message["say"] == "failed":
                self.problem = message["error"]
                return False
            facts = {key: value for key, value in message.items() if key not in ("say", "model")}
            self.models[message["model"]] = ModelFacts(message["model"], **facts)
        self.problem = "it ended while it started"
        return False


async def _first(getting: Any, stop: asyncio.Event) -> Any:
    """What comes, unless `stop` comes before it."""
    coming, stopping = asyncio.create_task(getting), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            return coming.result()
        raise Cancelled
    finally:
        coming.cancel()
        stopping.cancel()


def _judged(message: Message) -> Message:
    if message["say"] == "done":
        return message
    if message.get("cancelled"):
        raise Cancelled
    raise TaskFailed(message["error"], message["bad_input"])
