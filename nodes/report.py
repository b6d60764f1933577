"""The second output of Tiled Upscale x4: what was planned, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from ..swin2sr_core.picture_job import PictureReport
from ..swin2sr_core.planning.picture_plan import PicturePlan
from ..swin2sr_core.sentences import sentence
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
        return "\n".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """The report, line by line."""
        fallbacks = self.done.fallbacks or (sentence("none", "none"),)
        return [
            self._first_line,
            *self.plan.plan.lines,
            *(
                sentence("report_notice", "  notice: {text}", text=each)
                for each in self.plan.notices
            ),
            sentence("report_peak", "  measured peak: {peak}", peak=self._peak()),
            sentence("report_fallbacks", "  fallbacks: {all}", all=reduce(_both, fallbacks)),
        ]

    @property
    def _first_line(self) -> str:
        first, one = self.done.reports[0], sentence("one_picture", "1 picture")
        many = sentence("many_pictures", "{count} pictures", count=self.frames)
        return sentence(
            "report_first",
            "{model} on {device}: {pictures} to {width}x{height} in {seconds:.2f} s",
            model=first.model,
            device=first.device,
            pictures=one if self.frames == 1 else many,
            width=self.plan.width,
            height=self.plan.height,
            seconds=self.seconds,
        )

    def _peak(self) -> str:
        peak, grown = self.done.peak_bytes, self.grown_bytes
        if peak is not None and self.done.reports[0].device != "cpu":
            return sentence("peak_device", "{size} on the device", size=format_bytes(peak))
        if grown is None:
            return sentence("peak_unknown", "unknown")
        return sentence(
            "peak_process",
            "{size} more for the process, its output included",
            size=format_bytes(grown),
        )


def _both(one: str, other: str) -> str:
    return sentence("both", "{one}; {other}", one=one, other=other)
