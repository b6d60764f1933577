"""An actor on some node: a worker's process beside it, pictures as bytes in and out.

It is a `LocalPool` of one, so that what computes, stops and dies does so as on one machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from PIL import Image

from swin2sr_core.errors import DeviceError
from swin2sr_core.temporary import temporary_folder

from ..service.local_pool import LocalPool
from ..service.pool import ENDS, Cancelled, Task, TaskFailed, Tell, WorkerDied, last_message

_TRIAL_SIDE = 16
_POLL_SECONDS = 0.05


class RayWorker:
    """Made an actor by the pool; its methods run beside each other."""

    def __init__(
        self,
        sources: Mapping[str, str],
        precision: str,
        device: str,
        environment: Mapping[str, str],
        max_memory: int | None,
    ) -> None:
        self._pool = LocalPool([device], sources, precision, environment, False, max_memory)
        self._names = list(sources)
        self._stops: dict[str, asyncio.Event] = {}

    async def start(self) -> list[dict[str, Any]]:
        """Load the models; what is known of each. Raises DeviceError."""
        await self._pool.start()
        while len(self._pool.models) < len(self._names):
            if self._pool.problem:
                raise DeviceError(self._pool.problem)
            await asyncio.sleep(_POLL_SECONDS)
        return [asdict(facts) for facts in self._pool.models.values()]

    async def run(self, document: dict[str, Any], content: bytes) -> AsyncIterator[dict[str, Any]]:
        """What the worker says; the last is `done` with the result's bytes, or what it came to."""
        stop = self._stops.setdefault(document["id"], asyncio.Event())
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        with temporary_folder() as name:
            task = _task(document, Path(name))
            task.input.write_bytes(content)
            running = asyncio.create_task(self._last(task, messages, stop))
            try:
                while (message := await messages.get())["say"] not in ENDS:
                    yield message
                if message["say"] == "done":
                    message["content"] = task.output.read_bytes()
                yield message
            finally:
                stop.set()
                self._stops.pop(task.id, None)
                await running

    async def stop(self, number: str) -> None:
        """Have a task end soon, by its id."""
        if number in self._stops:
            self._stops[number].set()

    async def check(self) -> None:
        """A small picture, if nothing runs. Raises what is wrong."""
        if self._stops:
            return
        with temporary_folder() as name:
            path = Path(name) / "trial.png"
            Image.new("RGB", (_TRIAL_SIDE, _TRIAL_SIDE)).save(path)
            task = Task("trial", path, path.with_name("made.png"), self._names[0], (), False)
            await self._made(task, lambda _message: None, asyncio.Event())

    async def _made(self, task: Task, tell: Tell, stop: asyncio.Event) -> dict[str, Any]:
        while not self._pool.workers[0].ready:  # another one starts after a death
            if stop.is_set():
                raise Cancelled
            await asyncio.sleep(_POLL_SECONDS)
        facts = self._pool.models[task.model]  # of this node, not of the one that planned
        own = {"free_bytes": facts.free_bytes, "program_bytes": facts.program_bytes}
        return await self._pool.run(replace(task, **own), 0, tell, stop)

    async def _last(
        self, task: Task, messages: asyncio.Queue[dict[str, Any]], stop: asyncio.Event
    ) -> None:
        """Exceptions become messages: they cross between processes as they are."""
        try:
            last = await self._made(task, messages.put_nowait, stop)
        except (Cancelled, TaskFailed, WorkerDied) as error:
            last = last_message(error)
        messages.put_nowait(last)


def _task(document: Mapping[str, Any], folder: Path) -> Task:
    """The inverse of `Task.to_dict`, with files of this machine."""
    names = {key: f"{key}{Path(document[key]).suffix}" for key in ("input", "output")}
    return Task(
        **{
            **document,
            "input": folder / names["input"],
            "output": folder / names["output"],
            "options": tuple(document["options"]),
        }
    )
