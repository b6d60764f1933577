"""Runs passes to their end whatever memory does: where it runs out, a smaller plan goes on.

The ladder leads from larger to smaller bands and pieces, then from *whole* to *staged* to *tiled*,
and to smaller tiles. Each step takes at most four fifths of what failed. What is finished stays
finished: frames and passes, stages, regions, tiles and pieces of the head.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor

from ..errors import OutOfMemoryError
from ..machine.devices import free_bytes
from ..machine.host_memory import free_host_bytes
from ..machine.out_of_memory import is_out_of_memory, release_memory
from ..models.model import Network
from ..planning.candidates import by_preference, fastest_like, fits, pass_candidates
from ..planning.pass_plan import PassPlan
from ..planning.request import PlanRequest
from ..planning.strategies import Staged, Tiled, Whole
from ..planning.tiles import Tiling
from ..prepared.folded import FoldedNetwork
from ..sentences import sentence
from ..units import format_bytes
from .canvas import Canvas
from .passes import Finished, Pass
from .tiling import TiledPass
from .watch import MemoryWatch, OverBudget

T = TypeVar("T")

log = logging.getLogger(__name__)

_STEP = 0.8
"""A smaller plan takes at most this much of what failed: less of a step would fail again."""

_ROOM = 0.9
"""Of what is free, when memory has just run out: another program may be growing."""

_KINDS = (Whole, Staged, Tiled)
"""From the fastest to what needs least."""

_LAST_ATTEMPTS = 3
_PAUSE_SECONDS = 0.2
"""Before the smallest plan is tried again: a neighbour may be done by then."""


@dataclass
class Ladder:
    """Steps down for one call of `upscale`; later frames start where earlier ones have got to.

    `request` is what the user asked for: *whole* and *staged* never fall back to tiles. `advance`
    is called with finished work, `rescale` with what is left of a pass whenever its plan has
    changed, `tell` with a sentence for every step down.
    """

    request: PlanRequest
    watch: MemoryWatch
    advance: Callable[[int], None]
    rescale: Callable[[int], None]
    tell: Callable[[str], None]
    _instead: dict[PassPlan, PassPlan] = field(default_factory=dict)

    def run(
        self,
        network: Network,
        plan: PassPlan,
        image: Tensor,
        output: Canvas,
        finished: Finished | None = None,
    ) -> None:
        """One pass over 1 x C x H x W, by `plan` or by what has replaced it.

        Raises `OutOfMemoryError` when there is no smaller plan left that could work.
        """
        taken = self.taken(plan)
        if taken != plan:
            self.rescale(taken.work)
        work: Pass | TiledPass | None = None
        failures = 0
        while True:
            if work is None or not _same_kind(work, taken):
                work = _work(taken, network, image, output, self._checked_advance, finished)
            self.watch.expect(taken)
            failure = self._attempt(work, taken)
            if failure is None:
                break
            release_memory(network.device)
            below = self._next(taken)
            if below is None:
                failures += failure.real
                if failures >= _LAST_ATTEMPTS:
                    raise self._nothing_left(taken)
                self._wait(failure)
                below = taken
            self._tell(taken, below, failure.reason)
            taken = below
            self.rescale(work.remaining(taken) if _same_kind(work, taken) else taken.work)
        self._instead[plan] = taken

    def taken(self, plan: PassPlan) -> PassPlan:
        """What has replaced `plan`, or itself."""
        return self._instead.get(plan, plan)

    def _attempt(self, work: Pass | TiledPass, plan: PassPlan) -> _Failure | None:
        """None if the pass came to its end, else why it did not, without a trace of the error.

        The exception and the frames that it holds are gone when this returns, and their tensors
        with them.
        """
        try:
            work.run(plan)
        except OverBudget as error:
            return _Failure(str(error), real=False)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return _Failure(sentence("out_of_memory", "out of memory"), real=True)
        return None

    def _wait(self, failure: _Failure) -> None:
        """Before the smallest plan goes on: let a neighbour finish, or stop being careful."""
        if failure.real:
            release_memory(self.watch.device, thorough=True)
            time.sleep(_PAUSE_SECONDS)
        else:
            self.watch.ignore()

    def _checked_advance(self, work: int) -> None:
        self.advance(work)
        self.watch.check()

    def _next(self, failed: PassPlan) -> PassPlan | None:
        """The fastest plan that takes clearly less than `failed`, and no more than is free.

        Where the free memory is too little for any, the smallest: what the system says may be
        wrong, and there is nothing to lose.
        """
        smaller = [each for each in self._below(failed) if each != failed]
        if not smaller:
            return None
        free = free_bytes(self.watch.device)
        # What the pass keeps is in the forecast of every plan, and need not be free again.
        room = None if free is None else int((free + self.watch.used()) * _ROOM)
        host = None if failed.unified else free_host_bytes()
        host = None if host is None else int((host + failed.host_bytes) * _ROOM)
        for each in by_preference(smaller):
            if fits(each, room, host):
                return each
        return min(smaller, key=lambda each: each.charged_bytes)

    def _below(self, failed: PassPlan) -> list[PassPlan]:
        allowed = next(_KINDS[i:] for i, kind in enumerate(_KINDS) if isinstance(failed, kind))
        if not self._tiles_allowed:
            allowed = tuple(kind for kind in allowed if kind.exact)
        limit = failed.charged_bytes * _STEP
        candidates = pass_candidates(fastest_like(failed), tiling=self._tiling(failed))
        return [e for e in candidates if isinstance(e, allowed) and e.charged_bytes <= limit]

    def _tiling(self, failed: PassPlan) -> Tiling:
        """Tiles of any side, blended as those that failed, or as the user asked for."""
        if isinstance(failed, Tiled):
            return Tiling(0, failed.overlap, failed.blend)
        return replace(self.request.tiling[0], side=0)

    @property
    def _tiles_allowed(self) -> bool:
        return self.request.strategy in ("auto", "tiled")

    def _tell(self, failed: PassPlan, below: PassPlan, reason: str) -> None:
        again = sentence("same_again", "the same again")
        text = sentence(
            "stepped_down",
            "{reason} with {failed}; went on with {now}",
            reason=reason,
            failed=_describe(failed),
            now=again if below == failed else _describe(below),
        )
        log.warning("%s", text)
        self.tell(text)

    def _nothing_left(self, plan: PassPlan) -> OutOfMemoryError:
        free = free_bytes(self.watch.device)
        known = (
            "" if free is None else sentence("is_free", ", {free} is free", free=format_bytes(free))
        )
        tiles = "" if self._tiles_allowed else sentence("allow_auto", ", or allow strategy auto")
        return OutOfMemoryError.saying(
            "nothing_smaller",
            "out of memory: the smallest plan ({plan}) did not fit on {device}{known}; "
            "close other programs, take a smaller picture{tiles}",
            plan=_describe(plan),
            device=self.watch.device,
            known=known,
            tiles=tiles,
        )


@dataclass(frozen=True)
class _Failure:
    """Why a pass did not come to its end. `real` is an error, else it was stopped in time."""

    reason: str
    real: bool


def _same_kind(work: Pass | TiledPass, plan: PassPlan) -> bool:
    return isinstance(work, TiledPass) == isinstance(plan, Tiled)


def _work(
    plan: PassPlan,
    network: Network,
    image: Tensor,
    output: Canvas,
    advance: Callable[[int], None],
    finished: Finished | None,
) -> Pass | TiledPass:
    if isinstance(plan, Tiled):
        return TiledPass(network, image, output, advance, finished)
    assert isinstance(network, FoldedNetwork)  # exported files are planned in tiles alone
    return Pass(network, image, output, advance, finished)


def _describe(plan: PassPlan) -> str:
    size = format_bytes(plan.charged_bytes)
    return sentence("forecast_of", "{plan} ({size} forecast)", plan=plan.summary, size=size)


def retrying(make: Callable[[], T], device: torch.device, purpose: str) -> T:
    """`make()`, tried again after memory was released; for what has no smaller way.

    Raises `OutOfMemoryError`, which says that `purpose` had no room.
    """
    for attempt in range(_LAST_ATTEMPTS):
        try:
            return make()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        release_memory(device, thorough=attempt > 0)
    raise OutOfMemoryError.saying(
        "no_room_for",
        "out of memory: there is no room on {device} for {purpose}; close other "
        "programs, or upscale fewer or smaller pictures at a time",
        device=device,
        purpose=purpose,
    )
