"""Workers on this machine: a process for each device, replaced when it dies, and a spare one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from swin2sr_core.machine.host_memory import resident_bytes

from .pool import ModelFacts, Task, Tell, WorkerDied, WorkerState
from .worker_process import LoadFailed, WorkerProcess

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 5.0
_APP_AND_GATE = 2
"""Processes as large as this one: both know no torch."""


@dataclass
class _Slot:
    """A place for a worker on one device."""

    device: str
    worker: WorkerProcess | None = None
    ready: bool = False


@dataclass
class LocalPool:
    """devices: one worker on each; sources: what `load_model` takes, by names; environment: what
    its process gets besides ours; max_memory: of a device, for all that is ours there; None for
    what is free."""

    devices: Sequence[str]
    sources: Mapping[str, str]
    precision: str = "auto"
    environment: Mapping[str, str] = field(default_factory=dict)
    keep_spare: bool = True
    max_memory: int | None = None
    models: dict[str, ModelFacts] = field(default_factory=dict)
    rooms: dict[str, int | None] = field(default_factory=dict)
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
        slot = self._slots[worker]
        if slot.worker is None:
            raise WorkerDied
        done = await slot.worker.run(task, tell, stop)
        self._look_at_room(slot.device, done)
        return done

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
            spare, self._spare = self._spare, None
            try:
                slot.worker = await (spare or self._new_worker())
                await self._load(slot, slot.worker)
            except (LoadFailed, OSError) as error:
                if slot.worker is not None:
                    await slot.worker.end(0.5)
                if spare is not None:  # it may have died long ago
                    continue
                self.problem = str(error)
                logger.error("a worker on %s could not load its model: %s", slot.device, error)
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if self.keep_spare and self._spare is None:
                self._spare = asyncio.create_task(self._new_worker())
            slot.ready, self.problem = True, None
            self.on_change()
            await slot.worker.listen()
            slot.ready = False
            self.restarts += 1

    async def _load(self, slot: _Slot, worker: WorkerProcess) -> None:
        loaded, ready = await worker.load(
            {
                "models": dict(self.sources),
                "device": slot.device,
                "precision": self.precision,
                "max_memory": self.max_memory,
                "workers": self.devices.count(slot.device),
                "spare": int(self.keep_spare),
                "program_bytes": _APP_AND_GATE * (resident_bytes() or 0),
            }
        )
        self.rooms[slot.device] = ready["most_bytes"]
        for message in loaded:
            weights = message["weight_bytes"]
            facts = {key: value for key, value in message.items() if key not in ("say", "model")}
            self.models[message["model"]] = ModelFacts(
                message["model"],
                **facts,
                free_bytes=ready["free_bytes"],
                program_bytes=0 if self.max_memory is None else ready["own_bytes"] + weights,
            )

    def _look_at_room(self, device: str, done: dict[str, Any]) -> None:
        """What is free once nothing is at work there: other programs come and go."""
        at_work = (slot.worker for slot in self._slots if slot.device == device)
        if not any(worker is not None and worker.busy for worker in at_work):
            for name, facts in self.models.items():
                if facts.device == done["report"]["device"]:
                    self.models[name] = replace(facts, free_bytes=done["free_bytes"])

    async def _new_worker(self) -> WorkerProcess:
        return await WorkerProcess.start(self.environment)
