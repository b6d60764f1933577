"""Workers on the nodes of a Ray cluster, as many as there is work for, replaced when they die.

They are actors of this process: whatever ends it, also SIGKILL, the cluster has them back. A
deployment of Ray Serve would go on holding its devices.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from swin2sr_core.errors import InputError
from swin2sr_core.temporary import replacing

from ..service.pool import Cancelled, ModelFacts, Task, TaskFailed, Tell, WorkerDied
from .worker import RayWorker

logger = logging.getLogger("swin2sr_core.ray")

_AGAIN_SECONDS = 5.0
_IDLE_SECONDS = 60.0
_LONG_SECONDS = 30.0


@dataclass(eq=False)
class _Worker:
    actor: Any
    ready: bool = False
    idle_since: float = 0.0


@dataclass
class RayPool:
    """address: of the cluster, "auto" for the one this machine belongs to.

    least, most: how many workers there are, with nothing to do and with much; cpus, gpus: what each
    takes of the cluster; environment: what its process gets besides its node's.
    """

    address: str
    names: Sequence[str]
    precision: str = "auto"
    device: str = "auto"
    least: int = 1
    most: int = 1
    cpus: float = 1
    gpus: float = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    models: dict[str, ModelFacts] = field(default_factory=dict)
    problem: str | None = None
    restarts: int = 0
    _workers: list[_Worker] = field(default_factory=list)
    _free: list[_Worker] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def capacity(self) -> int:
        return self.most

    @property
    def workers(self) -> list[dict[str, Any]]:
        """State of each."""
        return [{"device": self.device, "pid": None, "ready": each.ready} for each in self._workers]

    async def start(self) -> None:
        """Connect, and begin to start the workers. Raises InputError."""
        connect(self.address)
        for _ in range(self.least):
            self._begin()
        self._keep(self._shrink())

    async def run(self, task: Task, tell: Tell, stop: asyncio.Event) -> dict[str, Any]:
        """See `Pool.run`."""
        content = await asyncio.to_thread(task.input.read_bytes)
        worker = await self._taken(stop)
        forwarding = asyncio.create_task(_forward(stop, worker, task.id))
        try:
            last = await _heard(worker, task, content, tell)
        except RayActorError as error:
            self._replace(worker)
            raise WorkerDied from error
        except BaseException:
            self._replace(worker)  # whoever is interrupted here leaves it at work
            raise
        finally:
            forwarding.cancel()
        await self._give_back(worker)
        return await asyncio.to_thread(_judged, last, task)

    async def stop(self) -> None:
        """End all workers; the cluster goes on."""
        for task in self._tasks:
            task.cancel()
        for worker in self._workers:
            ray.kill(worker.actor)

    # -- workers -------------------------------------------------------------------------------

    async def _taken(self, stop: asyncio.Event) -> _Worker:
        """The one that was busy last; where all are busy one more is started, if that may be."""
        stopping = asyncio.create_task(self._notify_at(stop))
        try:
            async with self._changed:
                if not self._free and len(self._workers) < self.most:
                    self._begin()
                await self._changed.wait_for(lambda: self._free or stop.is_set())
                if stop.is_set():
                    raise Cancelled
                return self._free.pop()
        finally:
            stopping.cancel()

    async def _notify_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        async with self._changed:
            self._changed.notify_all()

    async def _give_back(self, worker: _Worker) -> None:
        async with self._changed:
            worker.idle_since = time.monotonic()
            self._free.append(worker)
            self._changed.notify()

    def _begin(self) -> None:
        options = {"num_cpus": self.cpus, "num_gpus": self.gpus, "scheduling_strategy": "SPREAD"}
        actor = ray.remote(RayWorker).options(**options, max_concurrency=4)
        worker = _Worker(
            actor.remote(list(self.names), self.precision, self.device, dict(self.environment))
        )
        self._workers.append(worker)
        self._keep(self._bring_up(worker))

    async def _bring_up(self, worker: _Worker) -> None:
        starting = asyncio.wrap_future(worker.actor.start.remote().future())
        try:
            done, _ = await asyncio.wait({starting}, timeout=_LONG_SECONDS)
            if not done:
                logger.warning(
                    "a worker waits for a node with %g CPUs and %g GPUs free", self.cpus, self.gpus
                )
            facts = await starting
        except RayError as error:
            self.problem = str(getattr(error, "cause", None) or error).partition("\n")[0]
            await asyncio.sleep(_AGAIN_SECONDS)
            self._replace(worker)
            return
        finally:
            starting.cancel()
        self.models |= {each["name"]: ModelFacts(**each) for each in facts}
        worker.ready, self.problem = True, None
        await self._give_back(worker)

    def _replace(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        ray.kill(worker.actor)
        self.restarts += 1
        self._begin()

    async def _shrink(self) -> None:
        """Give devices back that nobody has needed for a while."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS / 4)
            async with self._changed:
                idle = [w for w in self._free if time.monotonic() - w.idle_since > _IDLE_SECONDS]
                for worker in idle[: max(0, len(self._workers) - self.least)]:
                    self._free.remove(worker)
                    self._workers.remove(worker)
                    ray.kill(worker.actor)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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


async def _forward(stop: asyncio.Event, worker: _Worker, number: str) -> None:
    await stop.wait()
    with suppress(RayError):
        await worker.actor.stop.remote(number)


async def _heard(worker: _Worker, task: Task, content: bytes, tell: Tell) -> dict[str, Any]:
    """The last message. Raises RayActorError where the actor or its node is gone."""
    method = worker.actor.run.options(num_returns="streaming")
    message: dict[str, Any] = {"say": "died"}
    async for reference in method.remote(task.to_dict(), content):
        message = await reference
        if message["say"] in ("progress", "stage"):
            tell(message)
    return message


def _judged(message: dict[str, Any], task: Task) -> dict[str, Any]:
    """The worker's `done`, its result under the task's name."""
    if message["say"] == "cancelled":
        raise Cancelled
    if message["say"] == "died":
        raise WorkerDied
    if message["say"] == "failed":
        raise TaskFailed(message["error"], message["bad_input"])
    with replacing(task.output) as file:
        file.write(message.pop("content"))
    return message
