"""The second output of Tiled Upscale x4: what was planned, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from ..swin2sr_core.picture_job import PictureReport
from ..swin2sr_core.planning.picture_plan import PicturePlan
from ..swin2sr_core.units import format_bytes


@dataclass(frozen=True)
class Summary:
    """One run over a batch. `grown_bytes` is how much the process grew, None where unknown."""

    plan: PicturePlan
    frames: int
    seconds: float
    done: PictureReport
    grown_bytes: int | None

    @property
    def line(self) -> str:
        """Sizes, model, seconds and peak in one line, for ComfyUI's log."""
        first, plan = self.done.reports[0], self.plan
        frames = "" if self.frames == 1 else f" x {self.frames}"
        return (
            f"{plan.input_width}x{plan.input_height}{frames} -> {plan.width}x{plan.height}, "
            f"{first.model}, {plan.plan.precision} on {first.device}, {self.done.strategy}, "
            f"{self.seconds:.2f} s, peak {self._peak()}"
        )

    def __str__(self) -> str:
        first = self.done.reports[0]
        pictures = "1 picture" if self.frames == 1 else f"{self.frames} pictures"
        lines = [
            f"{first.model} on {first.device}: {pictures} to {self.plan.width}x{self.plan.height} "
            f"in {self.seconds:.2f} s",
            str(self.plan.plan),
            *(f"  notice: {each}" for each in self.plan.notices),
            f"  measured peak: {self._peak()}",
            f"  fallbacks: {'; '.join(self.done.fallbacks) or 'none'}",
        ]
        return "\n".join(lines)

    def _peak(self) -> str:
        peak = self.done.peak_bytes
        if peak is not None and self.done.reports[0].device != "cpu":
            return f"{format_bytes(peak)} on the device"
        if self.grown_bytes is None:
            return "unknown"
        return f"{format_bytes(self.grown_bytes)} more for the process, its output included"
