"""What computes: the one interface that an app on one machine and one on many share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from swin2sr_core.sentences import glossary, spoken

Tell = Callable[[dict[str, Any]], None]
"""Hears of `begun`, `progress` and `stage` while a task runs."""


@dataclass(frozen=True)
class Task:
    """One picture from file to file. It can be run again: the output appears whole at the end.

    bytes: what it takes; free_bytes, program_bytes: what it was planned with, as in `ModelFacts`.
    """

    id: str
    input: Path
    output: Path
    model: str
    options: tuple[str, ...]
    first_only: bool
    bytes: int = 0
    free_bytes: int | None = None
    program_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "input": str(self.input),
            "output": str(self.output),
            "model": self.model,
            "options": list(self.options),
            "first_only": self.first_only,
            "bytes": self.bytes,
            "free_bytes": self.free_bytes,
            "program_bytes": self.program_bytes,
        }


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model: for plans, and how many operations it does in a second.

    free_bytes: of its device, for a picture that has it to itself; program_bytes: of the memory
    that was set, what our processes and this model's weights take, 0 where none was set.
    """

    name: str
    prospect: dict[str, Any]
    device: str
    weight_bytes: int
    strategy: str
    rate: float
    free_bytes: int | None = None
    program_bytes: int = 0


class WorkerDied(Exception):
    """The process that computed is gone."""


class Cancelled(Exception):
    """The task was stopped on request."""


class TaskFailed(Exception):
    """The picture could not be made; `bad_input`: because of what was sent; `disk_full`: because
    nothing more can be written."""

    def __init__(self, text: str, bad_input: bool, disk_full: bool = False) -> None:
        super().__init__(text)
        self.bad_input, self.disk_full = bad_input, disk_full


ENDS = ("done", "failed", "cancelled", "died")
"""What the last message of a task says, in this process and between machines."""


def judged(message: dict[str, Any]) -> dict[str, Any]:
    """The last message if it is `done`. Raises Cancelled, TaskFailed and WorkerDied by others."""
    if message["say"] == "cancelled":
        raise Cancelled
    if message["say"] == "died":
        raise WorkerDied
    if message["say"] == "failed":
        text = spoken(message["error"], message["words"])
        raise TaskFailed(text, message["bad_input"], message["disk_full"])
    return message


def last_message(error: Cancelled | TaskFailed | WorkerDied) -> dict[str, Any]:
    """The inverse of what `judged` raises."""
    if isinstance(error, TaskFailed):
        causes = {"bad_input": error.bad_input, "disk_full": error.disk_full}
        text = str(error)
        return {"say": "failed", "error": text, "words": glossary(text), **causes}
    return {"say": "cancelled" if isinstance(error, Cancelled) else "died"}


@dataclass(frozen=True)
class WorkerState:
    """A worker: its device, its process where it has one, and whether it takes tasks."""

    device: str
    pid: int | None
    ready: bool


class Pool(Protocol):
    """Workers, each of which computes one task at a time and reads and writes others meanwhile."""

    on_change: Callable[[], None]
    """Called whenever a worker is ready."""

    @property
    def workers(self) -> Sequence[WorkerState]:
        """All that there should be."""
        ...

    @property
    def models(self) -> dict[str, ModelFacts]:
        """Those that a worker has loaded."""
        ...

    @property
    def rooms(self) -> Mapping[str, int | None]:
        """Of each device, bytes for all pictures and models there; None where it is unknown."""
        ...

    @property
    def problem(self) -> str | None:
        """Why no worker will be ready, where that is known."""
        ...

    @property
    def restarts(self) -> int:
        """Workers that were replaced."""
        ...

    async def start(self) -> None: ...

    async def run(self, task: Task, worker: int, tell: Tell, stop: asyncio.Event) -> dict[str, Any]:
        """What the worker of this number says when it is `done`.

        Raises WorkerDied, Cancelled and TaskFailed; nothing of the task is at work then.
        """
        ...

    async def stop(self) -> None: ...
