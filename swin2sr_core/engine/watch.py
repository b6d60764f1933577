"""What a run takes, measured while it goes: its peak for the report, and a look ahead."""

from __future__ import annotations

import time

import torch

from ..machine.devices import free_bytes, used_bytes
from ..planning.pass_plan import PassPlan
from ..sentences import sentence
from ..units import format_bytes

_SECONDS = 0.1
"""Between two looks: asking the system takes half a millisecond."""

_TOLERANCE = 1.1
_TOLERANCE_BYTES = 64 << 20
"""What libraries and the allocator may take besides the tensors that a forecast counts."""


class OverBudget(Exception):
    """A run takes, or is about to take, more than it may; it has not failed yet."""


class MemoryWatch:
    """Compares what a run has taken since this was made with its forecast and its budget.

    `peak_bytes` is the most seen so far: on a device exactly what torch gave out, on a CPU how far
    the process has grown at the moments of looking; None where it is unknown.
    """

    def __init__(self, device: torch.device, budget_bytes: int | None) -> None:
        self.device, self.budget = device, budget_bytes
        self._start = used_bytes(device)
        self._most = 0
        self._next = 0.0
        self._expected = 0
        self._patient = False
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def expect(self, plan: PassPlan) -> None:
        """From now on a pass runs by `plan`."""
        self._expected = plan.charged_bytes
        self._next = 0.0

    def ignore(self) -> None:
        """From now on only measure: there is nothing smaller to step down to."""
        self._patient = True

    def used(self) -> int:
        """What the run has taken and not given back, as far as is known."""
        if self._start is None:
            return 0
        return max(0, (used_bytes(self.device) or 0) - self._start)

    def check(self) -> None:
        """Look, at most every 0.1 s. Raises `OverBudget` when the run has to step down."""
        now = time.monotonic()
        if self._start is None or now < self._next:
            return
        self._next = now + _SECONDS
        used = self.used()
        self._most = max(self._most, used)
        if self._patient:
            return
        if self.budget is not None and used > self.budget * _TOLERANCE + _TOLERANCE_BYTES:
            raise OverBudget(
                sentence(
                    "budget_taken",
                    "{used} taken, of a budget of {budget},",
                    used=format_bytes(used),
                    budget=format_bytes(self.budget),
                )
            )
        missing = self._expected - used
        free = free_bytes(self.device)
        if free is not None and missing > free:
            raise OverBudget(
                sentence(
                    "more_than_free",
                    "{missing} more to come and only {free} free",
                    missing=format_bytes(missing),
                    free=format_bytes(free),
                )
            )

    @property
    def peak_bytes(self) -> int | None:
        """The most this run has had at once, so far."""
        if self._start is None:
            return None
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) - self._start
        return max(self._most, (used_bytes(self.device) or 0) - self._start)
