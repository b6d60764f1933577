"""How much memory a plan may take: the one rule, for every way to run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import BudgetError
from ..sentences import sentence
from ..units import format_bytes
from .plan import Plan, fitted
from .request import PlanRequest

_RESERVE = 0.1
"""Of what is free: fragmentation of the allocator was below this in every measured run."""

_RESERVE_BYTES = 128 << 20
"""At least, where more than a gigabyte is free: libraries, and whatever else runs."""


@dataclass(frozen=True)
class Room:
    """The memory of the compute device as it is now, in bytes. `free` is None where it is unknown.

    `available` is what would be free if other models were unloaded, None where nothing can be.
    `taken` has to be there besides what a plan counts: weights that still have to come, pictures
    that are kept. `where` is the device's name, for people. `host` is what of the host's memory may
    be taken besides, where that is another (None: it is not, or is unknown). `resident` tells that
    pictures are kept on the device.
    """

    free: int | None
    available: int | None = None
    taken: int = 0
    where: str = "cpu"
    host: int | None = None
    resident: bool = False

    def budget(self, size: int | None) -> int | None:
        """What of `size` free bytes a plan may take: less a reserve, and what is taken."""
        return None if size is None else max(0, _less_reserve(size) - self.taken)

    @property
    def host_budget(self) -> int | None:
        """What of the host's memory a plan may take."""
        return None if self.host is None else _less_reserve(self.host)


def _less_reserve(size: int) -> int:
    return size - max(int(size * _RESERVE), _RESERVE_BYTES if size > 1 << 30 else 0)


def plan_within(
    request: PlanRequest, room: Room, budget_bytes: int | None = None, slower: float = 1.0
) -> Plan:
    """The fastest plan for `budget_bytes`, or where that is None for the room there is.

    Where other models could be unloaded, a plan that needs no unloading is taken even if it is up
    to `slower` times as slow. Where a device other than the CPU has too little room for any plan
    and nothing could be unloaded, the smallest one is made, with a note: what is free may change,
    and a device that is full fails at once and does no harm. Raises BudgetError.
    """
    request = replace(request, resident=room.resident and not request.unified)
    host = None if request.unified else room.host_budget
    if budget_bytes is not None:
        return fitted(request, budget_bytes, host)
    if room.available is not None:
        return _preferring_free(request, room, host, slower)
    try:
        return fitted(request, room.budget(room.free), host)
    except BudgetError as error:
        if request.unified or error.least_bytes is None:
            raise
        smallest = fitted(request, error.least_bytes, host)
        note = sentence(
            "smallest_plan",
            "only {free} is free on {where}: the smallest plan",
            free=format_bytes(room.free or 0),
            where=room.where,
        )
        return replace(smallest, budget_bytes=None, notes=(*smallest.notes, note))


def _preferring_free(request: PlanRequest, room: Room, host: int | None, slower: float) -> Plan:
    try:
        modest = fitted(request, room.budget(room.free), host)
    except BudgetError:
        return fitted(request, room.budget(room.available), host)
    most = fitted(request, room.budget(room.available), host)
    return modest if modest.cost <= slower * most.cost else most
