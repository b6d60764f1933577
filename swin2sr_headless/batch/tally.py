"""How far a batch is, how fast it goes, and when it will be over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from swin2sr_core.units import format_seconds


@dataclass
class Tally:
    """total: pictures; the clock starts with the first that is to be made; ended: why before all
    were begun."""

    total: int
    made: int = 0
    skipped: int = 0
    failed: int = 0
    ended: str | None = None
    began: float = field(default_factory=time.perf_counter)

    @property
    def over(self) -> int:
        return self.made + self.skipped + self.failed

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    @property
    def rate(self) -> float:
        """Pictures a second, failures included."""
        return (self.made + self.failed) / max(self.seconds, 1e-6)

    @property
    def left(self) -> float | None:
        """Seconds, about; None before there is anything to go by."""
        return (self.total - self.over) / self.rate if self.made + self.failed else None

    def line(self) -> str:
        """On the way."""
        parts = [f"{self.over:,} of {self.total:,} pictures"]
        if self.left is not None:
            parts += [f"{self.rate:.2f} a second", f"about {format_seconds(self.left)} left"]
        return ", ".join(parts + self._besides())

    def summary(self) -> str:
        """At the end."""
        parts = [f"{self.made:,} of {self.total:,} pictures made", *self._besides()]
        if self.over < self.total:
            parts.append(f"{self.total - self.over:,} not begun")
        rate = f", {self.rate:.2f} a second" if self.made + self.failed else ""
        return f"{', '.join(parts)}, {self.seconds:.1f} s{rate}"

    def _besides(self) -> list[str]:
        return [
            f"{count:,} {what}"
            for count, what in ((self.skipped, "were there"), (self.failed, "failed"))
            if count
        ]
