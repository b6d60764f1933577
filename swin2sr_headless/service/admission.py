"""Whether a picture may be computed, and when: decided by numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swin2sr_core.sentences import sentence

HELD = 2
"""Pictures that a worker has at once: one is computed while others are read and written."""


@dataclass(frozen=True)
class Forecast:
    """What one picture takes: bytes, and seconds, None where no rate is known yet."""

    bytes: int
    seconds: float | None


@dataclass(frozen=True)
class Limits:
    """How much may wait: pictures, seconds until the last one starts, bytes of their files."""

    queue: int = 32
    wait_seconds: float = 60.0
    queue_bytes: int = 1 << 30


@dataclass(frozen=True)
class State:
    """What is going on. running: seconds left of each worker that has something to do; waiting:
    forecasts in order.

    workers: how many compute at once; upload_bytes: of the files that wait.
    """

    workers: int
    running: tuple[float, ...] = ()
    waiting: tuple[Forecast, ...] = ()
    upload_bytes: int = 0
    draining: bool = False


@dataclass(frozen=True)
class Admit:
    """It starts at once."""


@dataclass(frozen=True)
class Queue:
    """It waits; position 1 is the next, seconds until it starts."""

    position: int
    seconds: float


@dataclass(frozen=True)
class Reject:
    """It is not taken; `retry_after` in seconds, where waiting helps."""

    status: int
    reason: str
    retry_after: int | None = None


@dataclass(frozen=True)
class Load:
    """A worker that is ready: the device that it shares, and forecast bytes of what it has.

    alone: what it has wants no other picture beside it.
    """

    device: str
    held: tuple[int, ...] = ()
    alone: bool = False


Decision = Admit | Queue | Reject


def place(
    size: int, alone: bool, loads: Sequence[Load | None], rooms: Mapping[str, int | None]
) -> int | None:
    """Which worker a picture of `size` bytes goes to: the least busy one; None: it has to wait.

    loads: None where a worker is not ready; rooms: what all pictures on a device may take
    together, None where that is unknown. A picture that has a device to itself always fits: its
    plan was made for that.
    """
    taken: dict[str, int] = {}
    for load in loads:
        if load is not None and load.held:
            taken[load.device] = taken.get(load.device, 0) + sum(load.held)

    def fits(load: Load) -> bool:
        room, others = rooms.get(load.device), taken.get(load.device)
        return others is None or room is None or others + size <= room

    able = [
        (len(load.held), number)
        for number, load in enumerate(loads)
        if load is not None
        and fits(load)
        and not (load.alone or (alone and load.held) or len(load.held) >= HELD)
    ]
    return min(able)[1] if able else None


def wait_seconds(state: State) -> float:
    """Until a picture that comes now would start, by what is known; unknown ones count nothing."""
    ends = sorted((*state.running, *[0.0] * (state.workers - len(state.running))))
    for forecast in state.waiting:
        ends[0] += forecast.seconds or 0.0
        ends.sort()
    return ends[0]


def admit(
    forecast: Forecast, upload_bytes: int, limits: Limits, state: State, timeout: float | None
) -> Decision:
    """By bytes and seconds that are forecast; `timeout` is the client's, in seconds."""
    if state.draining:
        text = sentence(
            "serve_draining", "this server is shutting down; send the picture again later"
        )
        return Reject(503, text, 5)
    wait = wait_seconds(state)
    retry = max(1, math.ceil(wait))
    if timeout is not None and wait + (forecast.seconds or 0.0) > timeout:
        text = sentence(
            "serve_timeout",
            "the picture would be done in about {seconds:.0f} seconds, later than the timeout of "
            "{timeout:g}",
            seconds=wait + (forecast.seconds or 0.0),
            timeout=timeout,
        )
        return Reject(504, text, retry)
    if len(state.running) < state.workers and not state.waiting:
        return Admit()
    if len(state.waiting) >= limits.queue:
        text = sentence(
            "serve_queue",
            "{count} pictures wait already; try again later",
            count=len(state.waiting),
        )
        return Reject(503, text, retry)
    if wait > limits.wait_seconds:
        text = sentence(
            "serve_wait",
            "about {seconds:.0f} seconds of work wait already; try again later",
            seconds=wait,
        )
        return Reject(503, text, max(1, math.ceil(wait - limits.wait_seconds)))
    if state.upload_bytes + upload_bytes > limits.queue_bytes:
        text = sentence(
            "serve_queue_bytes", "the files that wait fill their place; try again later"
        )
        return Reject(503, text, retry)
    return Queue(len(state.waiting) + 1, wait)
