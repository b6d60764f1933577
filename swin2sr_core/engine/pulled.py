"""A function that hands things out, turned into an iterator that is asked for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")

_SECONDS = 0.1
_WAITING = 2
"""Things that may lie ready: the maker works on while the taker does."""


class Abandoned(Exception):
    """Raised in the function when nobody asks any more."""


HandOut = Callable[[T], None]
IsAbandoned = Callable[[], bool]


def pulled(work: Callable[[HandOut[T], IsAbandoned], None]) -> Iterator[T]:
    """What `work(hand_out, is_abandoned)` hands out, in order; it runs in a thread meanwhile.

    What `work` raises is raised here. Where the iterator is closed early, `is_abandoned()` is true,
    `hand_out` raises `Abandoned`, and the iterator waits for `work` to end.
    """
    queue: Queue[list[T]] = Queue(_WAITING)  # of one thing each; an empty list is the end
    closed = threading.Event()
    failure: list[BaseException] = []

    def put(things: list[T]) -> None:
        while not closed.is_set():
            try:
                return queue.put(things, timeout=_SECONDS)
            except Full:
                continue
        raise Abandoned

    def run() -> None:
        try:
            work(lambda thing: put([thing]), closed.is_set)
        except BaseException as error:
            failure.append(error)
        with suppress(Abandoned):
            put([])

    thread = threading.Thread(target=run, name="swin2sr-rows", daemon=True)
    thread.start()
    try:
        while True:
            try:
                things = queue.get(timeout=_SECONDS)  # Windows hears no Ctrl-C without one
            except Empty:
                continue
            if not things:
                break
            yield things[0]
    finally:
        closed.set()
        thread.join()
    if failure:
        raise failure[0]
