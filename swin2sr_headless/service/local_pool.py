"""Workers on this machine: a process for each device, replaced when it dies, and a spare one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .child import Message
from .pool import ModelFacts, Task, Tell, WorkerDied, WorkerState
from .worker_process import WorkerProcess

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 5.0


@dataclass
class _Slot:
    """A place for a worker on one device."""

    device: str
    worker: WorkerProcess | None = None
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
    on_change: Callable[[], None] = lambda: None
    _slots: list[_Slot] = field(default_factory=list)
    _spare: asyncio.Task[WorkerProcess] | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _stopping: bool = False

    @property
    def workers(self) -> list[WorkerState]:
        """See `Pool.workers`."""
        return [
            WorkerState(slot.device, slot.worker.pid if slot.worker else None, slot.ready)
            for slot in self._slots
        ]

    async def start(self) -> None:
        """Begin to start all workers; `models` fills as they load."""
        self._slots = [_Slot(device) for device in self.devices]
        for slot in self._slots:
            self._keep(self._occupy(slot))

    async def run(self, task: Task, worker: int, tell: Tell, stop: asyncio.Event) -> dict[str, Any]:
        """See `Pool.run`."""
        process = self._slots[worker].worker
        if process is None:
            raise WorkerDied
        return await process.run(task, tell, stop)

    async def stop(self) -> None:
        """End all processes."""
        self._stopping = True
        for task in (*self._tasks, *([self._spare] if self._spare else [])):
            if not task.done():
                task.cancel()
        workers = [slot.worker for slot in self._slots if slot.worker is not None]
        if self._spare is not None:
            with suppress(asyncio.CancelledError, OSError):
                workers.append(await self._spare)
        await asyncio.gather(*(worker.end(0.5) for worker in workers))

    # -- processes -----------------------------------------------------------------------------

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _occupy(self, slot: _Slot) -> None:
        """A worker in the slot, and another one whenever it dies."""
        while True:
            slot.worker = await self._take_spare()
            problem = await self._load(slot, slot.worker)
            if problem is None:
                if self.keep_spare and self._spare is None:
                    self._spare = asyncio.create_task(self._new_worker())
                slot.ready, self.problem = True, None
                self.on_change()
                await slot.worker.listen()
                slot.ready = False
                self.restarts += 1
                continue
            self.problem = problem
            await slot.worker.end(0.5)
            logger.error("a worker on %s could not load its model: %s", slot.device, problem)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _load(self, slot: _Slot, worker: WorkerProcess) -> str | None:
        def hear(message: Message) -> None:
            facts = {key: value for key, value in message.items() if key not in ("say", "model")}
            self.models[message["model"]] = ModelFacts(message["model"], **facts)

        wanted = {"models": list(self.names), "device": slot.device, "precision": self.precision}
        return await worker.load(wanted, hear)

    async def _take_spare(self) -> WorkerProcess:
        spare, self._spare = self._spare, None
        if spare is not None:
            worker = await spare
            if worker.alive:
                return worker
        return await self._new_worker()

    async def _new_worker(self) -> WorkerProcess:
        return await WorkerProcess.start(self.environment)
