"""Pictures through a pool's workers to their places, each with a row of the manifest."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swin2sr_core.errors import Swin2SRError, disk_is_full

from ..service.admission import HELD
from ..service.pool import Cancelled, ModelFacts, Pool, Task, TaskFailed, WorkerDied
from .manifest import Manifest
from .places import Place, State, place_of
from .sources import Item
from .staging import Size, Staged, Waiting, stage
from .tally import Tally

_AHEAD = 32
"""Pictures that are fetched before their turn, for each worker: enough to find equal sizes."""
_FETCHERS = 8
_POLL_SECONDS = 0.2


class NotReady(Swin2SRError):
    """No worker could load the model."""

    exit_code = 3


@dataclass(frozen=True)
class Order:
    """What is done with every picture. sharing: workers that have a device's memory together,
    max_memory bytes if that was set."""

    model: str
    options: tuple[str, ...]
    sharing: int = 1
    max_memory: int | None = None

    def task(self, number: str, source: Path, draft: Path, facts: ModelFacts) -> Task:
        """For a worker, which may take its share of what there is."""
        free, own = facts.free_bytes, facts.program_bytes
        if free is not None:
            free //= self.sharing
        if self.max_memory is not None:
            own = self.max_memory - (self.max_memory - own) // self.sharing
        memory = {"free_bytes": free, "program_bytes": own}
        return Task(number, source, draft, self.model, self.options, first_only=False, **memory)


@dataclass
class Driver:
    """how: the digest of the order; folder: for what passes through here."""

    pool: Pool
    manifest: Manifest
    tally: Tally
    order: Order
    how: str
    folder: Path
    asked_to_stop: Callable[[], bool]
    tell: Callable[[Tally], None]
    _places: dict[str, Place] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _died: list[Staged] = field(default_factory=list)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, items: Sequence[Item]) -> None:
        """All of them, or until it is asked to stop. The pool has started."""
        workers = range(len(self.pool.workers))
        waiting = Waiting(_AHEAD * len(workers))
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(
                self._fetch_all(iter(items), waiting),
                *(self._work(waiting, worker) for worker in workers for _ in range(HELD)),
            )
            for staged in self._died:
                await self._make(staged, await self._ready(workers), last=True)
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            if self.asked_to_stop():
                self._stop.set()
            self.tell(self.tally)
            await asyncio.sleep(_POLL_SECONDS)

    # -- before --------------------------------------------------------------------------------

    async def _fetch_all(self, items: Iterator[Item], waiting: Waiting) -> None:
        await asyncio.gather(*(self._fetch(items, waiting) for _ in range(_FETCHERS)))
        await waiting.close()

    async def _fetch(self, items: Iterator[Item], waiting: Waiting) -> None:
        for item in items:
            if self._stop.is_set():
                return
            folder = self.folder / str(next(self._numbers))
            try:
                staged = await asyncio.to_thread(self._staged, item, folder)
            except OSError as error:
                if self._ends(error, str(self.folder)):
                    return
                await self._fail(item, f"{item.source.name}: {error.strerror or error}", 0.0)
                continue
            if staged is None:
                self.tally.skipped += 1
                shutil.rmtree(folder, ignore_errors=True)
            else:
                await waiting.put(staged)

    def _staged(self, item: Item, folder: Path) -> Staged | None:
        """None for what is made of the same picture in the same way, and lies there."""
        place = self._place(item.source.name)
        state = item.source.state or place.state(item.source.name)
        if state is None:
            raise FileNotFoundError(2, "there is no such file")
        there = self._is_there(item)
        if there and self.manifest.made[item.source.name].state == state:
            return None
        staged = stage(item, place, state, folder)
        same = there and self.manifest.made[item.source.name].sha256 == staged.sha256
        return None if same else staged

    def _is_there(self, item: Item) -> bool:
        made = self.manifest.made.get(item.source.name)
        if made is None or made.how != self.how or made.output != item.output:
            return False
        state = self._place(item.output).state(item.output)
        return state is not None and state["size"] == made.bytes

    def _place(self, name: str) -> Place:
        root = name.partition("://")[0] if "://" in name else ""
        if root not in self._places:
            self._places[root] = place_of(name)
        return self._places[root]

    # -- one picture ---------------------------------------------------------------------------

    async def _work(self, waiting: Waiting, worker: int) -> None:
        """One of the pictures that a worker has: it reads and writes beside the network."""
        size: Size = None
        while (staged := await waiting.take(size)) is not None:
            await self._make(staged, await self._ready([worker]))
            size = staged.size

    async def _ready(self, workers: Sequence[int]) -> int:
        """The first of some workers that takes tasks."""
        while not self._stop.is_set():
            for worker in workers:
                if self.pool.workers[worker].ready:
                    return worker
            await asyncio.sleep(_POLL_SECONDS)
        return workers[0]

    async def _make(self, staged: Staged, worker: int, *, last: bool = False) -> None:
        """last: it is made once more and alone, as a worker died that had it, maybe with others."""
        item, began = staged.item, time.perf_counter()
        place = self._place(item.output)
        try:
            draft = await asyncio.to_thread(place.draft, item.output, staged.folder)
            facts = self.pool.models[self.order.model]
            task = self.order.task(staged.folder.name, staged.path, draft, facts)
            done = await self.pool.run(task, worker, lambda _message: None, self._stop)
            state = await asyncio.to_thread(place.keep, draft, item.output)
            await self._add(_row(staged, done, state, self.how))
            self.tally.made += 1
        except Cancelled:
            pass
        except WorkerDied:
            if not last:
                self._died.append(staged)
                await asyncio.sleep(_POLL_SECONDS)  # until the pool knows it, too
                return
            await self._fail(item, "it ended two workers", time.perf_counter() - began)
        except (OSError, TaskFailed) as error:
            if not self._ends(error, item.output):
                await self._fail(item, str(error), time.perf_counter() - began)
        shutil.rmtree(staged.folder, ignore_errors=True)

    def _ends(self, error: OSError | TaskFailed, name: str) -> bool:
        """Whether the disk is full: no other picture would fit, so that the batch stops."""
        full = error.disk_full if isinstance(error, TaskFailed) else disk_is_full(error)
        if full:
            self.tally.ended = (
                f"the disk is full: {name} was not written; free some space there, and run the "
                "same command to go on"
            )
            self._stop.set()
        return full

    async def _fail(self, item: Item, why: str, seconds: float) -> None:
        row = {"input": item.source.name, "how": self.how, "output": None}
        await self._add({**row, "seconds": round(seconds, 3), "error": why})
        self.tally.failed += 1

    async def _add(self, row: dict[str, Any]) -> None:
        async with self._writing:
            await asyncio.to_thread(self.manifest.add, row)


async def ready(pool: Pool, model: str, asked_to_stop: Callable[[], bool]) -> dict[str, Any]:
    """What a worker says of the model once it has loaded it. Raises NotReady."""
    while model not in pool.models:
        if pool.problem:
            raise NotReady(pool.problem)
        if asked_to_stop():
            raise KeyboardInterrupt
        await asyncio.sleep(0.05)
    return pool.models[model].prospect


def _row(staged: Staged, done: dict[str, Any], state: State, how: str) -> dict[str, Any]:
    report = done["report"]
    told = ("input_size", "output_size", "frames", "precision", "strategy", "notices", "fallbacks")
    return {
        "input": staged.item.source.name,
        "state": staged.state,
        "sha256": staged.sha256,
        "how": how,
        "output": staged.item.output,
        "bytes": state["size"],
        "seconds": round(done["seconds"], 3),
        "error": None,
        **{key: report[key] for key in told},
    }
