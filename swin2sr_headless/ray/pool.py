"""Workers on the nodes of a Ray cluster, replaced when they or their nodes die.

They are actors of this process: whatever ends it, also SIGKILL, the cluster has them back. A
deployment of Ray Serve would go on holding its devices. An actor that finds no room waits, and a
cluster that scales adds a node for it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import (
    RayActorError,
    RayError,
)

from swin2sr_core.errors import InputError
from swin2sr_core.temporary import replacing

from ..service.pool import ENDS, ModelFacts, Task, Tell, WorkerDied, WorkerState, judged
from .worker import RayWorker

logger = logging.getLogger("swin2sr_core.ray")

_AGAIN_SECONDS = 5.0
_LONG_SECONDS = 30.0
_CHECK_SECONDS = 30.0


@dataclass
class _Slot:
    """A place for a worker; gone: its actor does not answer."""

    actor: Any = None
    ready: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class RayPool:
    """address: of the cluster, "auto" for the one this machine belongs to; count: of workers.

    sources: what `load_model` takes, by names; cpus, gpus: what each worker takes of the cluster;
    environment: what its process gets besides its node's; max_memory: of its device, in bytes.
    """

    address: str
    sources: Mapping[str, str]
    precision: str = "auto"
    device: str = "auto"
    count: int = 1
    cpus: float = 1
    gpus: float = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    max_memory: int | None = None
    models: dict[str, ModelFacts] = field(default_factory=dict)
    problem: str | None = None
    restarts: int = 0
    on_change: Callable[[], None] = lambda: None
    _slots: list[_Slot] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def workers(self) -> list[WorkerState]:
        """See `Pool.workers`. Each has a device of its own, whatever that is called there."""
        return [
            WorkerState(f"{self.device} {number}", None, slot.ready)
            for number, slot in enumerate(self._slots)
        ]

    @property
    def rooms(self) -> Mapping[str, int | None]:
        """See `Pool.rooms`. Each worker looks after its own."""
        return {}

    async def start(self) -> None:
        """Connect, and begin to start the workers. Raises InputError."""
        connect(self.address)
        self._slots = [_Slot() for _ in range(self.count)]
        self._tasks = [asyncio.create_task(self._occupy(slot)) for slot in self._slots]

    async def run(self, task: Task, worker: int, tell: Tell, stop: asyncio.Event) -> dict[str, Any]:
        """See `Pool.run`."""
        slot = self._slots[worker]
        if not slot.ready:
            raise WorkerDied
        content = await asyncio.to_thread(task.input.read_bytes)
        stopping = asyncio.create_task(_stop_at(stop, slot.actor, task.id))
        try:
            last = await _last(slot.actor, task, content, tell)
        except RayActorError as error:
            slot.ready = False  # at once, or what is tried again comes here again
            slot.gone.set()
            raise WorkerDied from error
        except asyncio.CancelledError:
            slot.actor.stop.remote(task.id)
            raise
        finally:
            stopping.cancel()
        return await asyncio.to_thread(_kept, judged(last), task)

    async def stop(self) -> None:
        """End all workers; the cluster goes on."""
        for task in self._tasks:
            task.cancel()
        for slot in self._slots:
            if slot.actor is not None:
                ray.kill(slot.actor)

    async def _occupy(self, slot: _Slot) -> None:
        """A worker in the slot, and another one whenever it is gone."""
        while True:
            slot.gone.clear()
            options = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_concurrency": 16}
            made = ray.remote(RayWorker).options(**options, scheduling_strategy="SPREAD")
            slot.actor = made.remote(
                dict(self.sources),
                self.precision,
                self.device,
                dict(self.environment),
                self.max_memory,
            )
            problem = await self._load(slot)
            if problem is None:
                slot.ready, self.problem = True, None
                self.on_change()
                await self._watch(slot)
                slot.ready = False
                self.restarts += 1
            else:
                self.problem = problem
                logger.warning("a worker could not load its model: %s", problem)
                await asyncio.sleep(_AGAIN_SECONDS)
            ray.kill(slot.actor)

    async def _load(self, slot: _Slot) -> str | None:
        """What went wrong, else None."""
        starting = asyncio.wrap_future(slot.actor.start.remote().future())
        try:
            done, _ = await asyncio.wait({starting}, timeout=_LONG_SECONDS)
            if not done:
                wanted = f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"
                logger.warning("a worker waits for a node with %s free", wanted)
            facts = await starting
        except RayError as error:
            return str(getattr(error, "cause", None) or error).partition("\n")[0]
        finally:
            starting.cancel()
        self.models |= {each["name"]: ModelFacts(**each) for each in facts}
        return None

    async def _watch(self, slot: _Slot) -> None:
        """Until it is gone: a task has found that, or it makes no small picture any more."""
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(slot.gone.wait(), _CHECK_SECONDS)
                return
            try:
                await slot.actor.check.remote()
            except RayError:
                return


def connect(address: str) -> None:
    """Join a cluster, whose nodes have this version installed. Raises InputError."""
    if ray.is_initialized():
        return
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"there is no Ray cluster at {address} ({reason}); start one with `ray start --head`"
        ) from error
    finally:
        if main:  # Ray's own would end this process at once
            signal.signal(signal.SIGTERM, before)


async def _stop_at(stop: asyncio.Event, actor: Any, number: str) -> None:
    await stop.wait()
    with suppress(RayError):
        await actor.stop.remote(number)


async def _last(actor: Any, task: Task, content: bytes, tell: Tell) -> dict[str, Any]:
    """The last message. Raises RayActorError where the actor or its node is gone."""
    message: dict[str, Any] = {"say": "died"}
    run = actor.run.options(num_returns="streaming")
    async for reference in run.remote(task.to_dict(), content):
        message = await reference
        if message["say"] not in ENDS:
            tell(message)
    return message


def _kept(message: dict[str, Any], task: Task) -> dict[str, Any]:
    """The worker's `done`, its result under the task's name."""
    with replacing(task.output) as file:
        file.write(message.pop("content"))
    return message
