"""The second output of Tiled Upscale x4: what was planned, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..swin2sr_core import Report
from ..swin2sr_core.units import format_bytes
from .job import Job


@dataclass(frozen=True)
class Summary:
    """One run over a batch. `grown_bytes` is how much the process grew, None where unknown."""

    job: Job
    frames: int
    seconds: float
    reports: Sequence[Report]
    grown_bytes: int | None
    notices: tuple[str, ...] = ()

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """What did not go as planned, each thing once."""
        return tuple(dict.fromkeys(text for report in self.reports for text in report.fallbacks))

    def __str__(self) -> str:
        first = self.reports[0]
        pictures = "1 picture" if self.frames == 1 else f"{self.frames} pictures"
        lines = [
            f"{first.model} on {first.device}: {pictures} to {self.job.width}x{self.job.height} "
            f"in {self.seconds:.2f} s",
            str(self.job.plan),
            *(f"  notice: {each}" for each in self.notices),
            f"  measured peak: {self._peak()}",
            f"  fallbacks: {'; '.join(self.fallbacks) or 'none'}",
        ]
        return "\n".join(lines)

    def _peak(self) -> str:
        known = [r.peak_bytes for r in self.reports if r.peak_bytes is not None]
        if known and self.reports[0].device != "cpu":
            return f"{format_bytes(max(known))} on the device"
        if self.grown_bytes is None:
            return "unknown"
        return f"{format_bytes(self.grown_bytes)} more for the process, its output included"
