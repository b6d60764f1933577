"""What computes: the one interface that an app on one machine and one on many share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Tell = Callable[[dict[str, Any]], None]
"""Hears of `progress` and `stage` while a task runs."""


@dataclass(frozen=True)
class Task:
    """One picture from file to file. It can be run again: the output appears whole at the end."""

    id: str
    input: Path
    output: Path
    model: str
    options: tuple[str, ...]
    first_only: bool

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "input": str(self.input),
            "output": str(self.output),
            "model": self.model,
            "options": list(self.options),
            "first_only": self.first_only,
        }


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a loaded model: for plans, and how many operations it does in a second."""

    name: str
    prospect: dict[str, Any]
    device: str
    free_bytes: int | None
    strategy: str
    rate: float


class WorkerDied(Exception):
    """The process that computed is gone."""


class Cancelled(Exception):
    """The task was stopped on request."""


class TaskFailed(Exception):
    """The picture could not be made; `bad_input`: because of what was sent."""

    def __init__(self, sentence: str, bad_input: bool) -> None:
        super().__init__(sentence)
        self.bad_input = bad_input


class Pool(Protocol):
    """Workers, each with one task at a time."""

    @property
    def capacity(self) -> int:
        """How many tasks run at once."""
        ...

    @property
    def models(self) -> dict[str, ModelFacts]:
        """Those that a worker has loaded."""
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

    async def run(self, task: Task, tell: Tell, stop: asyncio.Event) -> dict[str, Any]:
        """The worker's `done`. Raises WorkerDied, Cancelled and TaskFailed."""
        ...

    async def stop(self) -> None: ...
