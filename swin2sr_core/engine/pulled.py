"""A function that hands things out, turned into an iterator that is asked for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
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
    queue: Queue[T] = Queue(_WAITING)
    closed = threading.Event()
    failure: list[BaseException] = []

    def hand_out(thing: T) -> None:
        while not closed.is_set():
            try:
                return queue.put(thing, timeout=_SECONDS)
            except Full:
                continue
        raise Abandoned

    def run() -> None:
        try:
            work(hand_out, closed.is_set)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="swin2sr-rows", daemon=True)
    thread.start()
    try:
        while True:
            ended = not thread.is_alive()  # asked before the queue is: what it left is there
            try:
                yield queue.get(timeout=0 if ended else _SECONDS)
            except Empty:
                if ended:
                    break
    finally:
        closed.set()
        thread.join()
    if failure:
        raise failure[0]
