"""A run of Tiled Upscale x4: frame by frame, each at its output size before it is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from ..swin2sr_core import Report, upscale
from ..swin2sr_core.pictures import seamless
from ..swin2sr_core.pictures.alpha import upscale_frame
from ..swin2sr_core.pictures.frame import Frame
from ..swin2sr_core.pictures.input_gate import notice
from ..swin2sr_core.pictures.sharpen import sharpen
from . import host, pictures
from .job import Job, Settings, make_job
from .live import Live
from .managed import UpscaleModel
from .pictures import Pictures
from .report import Summary

_STEPS = 1000
"""Steps of the progress bar per call of the network."""


def run(
    model: UpscaleModel, image: Tensor, mask: Tensor | None, settings: Settings
) -> tuple[Tensor, Summary]:
    """Upscale B H W C -> B h w 3|4 on ComfyUI's intermediate device, and tell how it went.

    `mask`, B|1 H W, is 1 where the picture is transparent. Raises InputError, BudgetError, and
    ComfyUI's own exception when the user cancels.
    """
    taken = pictures.take(image, mask)
    batch = pictures.gated(taken, settings.max_input_side)
    notices = () if batch is taken else (notice(taken.size, batch.size, settings.max_input_side),)
    job = make_job(model, *batch.size, len(batch), settings)
    host.load(model.patcher, job.plan.forecast_bytes)
    started = time.perf_counter()
    output = host.output_tensor(len(batch), job.height, job.width, batch.output_channels)
    worker = _Worker(model, job, settings.sharpen, batch, output, notices)
    for index in range(len(batch)):
        worker.do(index)
    host.release_cache()
    summary = worker.summary(time.perf_counter() - started)
    worker.live.done(summary)
    return output, summary


class _Worker:
    """Upscales the frames of one batch into `output`, and keeps the count."""

    def __init__(
        self,
        model: UpscaleModel,
        job: Job,
        amount: float,
        batch: Pictures,
        output: Tensor,
        notices: tuple[str, ...],
    ) -> None:
        self.model, self.job, self.amount = model, job, amount
        self.batch, self.output, self.notices = batch, output, notices
        self.plan = job.plan
        self.reports: list[Report] = []
        self.memory = host.ResidentMemory()
        self.progress = host.Progress()
        self.live = Live(model, job, len(batch), self.memory)
        self.index = self.calls = 0

    def do(self, index: int) -> None:
        """Fill frame `index` of the output."""
        self.index, self.calls = index, 0
        margin, frame = self.job.margin, self.batch.frame(index)
        if margin:
            frame = _mapped(frame, lambda plane: seamless.wrap_pad(plane, margin))
        frame = upscale_frame(frame, self._upscale)
        if margin:
            frame = _mapped(frame, self._unwrapped)
        pictures.put(replace(frame, color=self._sharpened(frame.color)), self.output[index])
        if index == len(self.batch) - 1:  # the last piece comes after the last step
            self.progress(self._steps, self._steps, self.live.picture)

    def _upscale(self, planes: Tensor) -> Tensor:
        """1 C H W -> 1 C h w, through the network as planned; one channel at a time if need be."""
        swap = self.model.config.in_channels == 1
        color = self.calls == 0  # what follows is the frame's alpha, which is not shown
        if color:
            self.live.begin(planes)
        result = upscale(
            self.model.core,
            planes.transpose(0, 1) if swap else planes,
            plan=self.plan,
            progress=self._advance,
            on_piece=self.live.piece if color else None,
            on_fallback=self.live.fallback,
        )
        self.plan = result.report.next_plan
        self.calls += 1
        self.reports.append(result.report)
        return result.image.transpose(0, 1) if swap else result.image

    def _unwrapped(self, plane: Tensor) -> Tensor:
        plane = seamless.wrap_crop(plane, self.job.margin, self.job.factor)
        return seamless.wrap_resize(plane, self.job.height, self.job.width).clamp(0, 1)

    def _sharpened(self, color: Tensor) -> Tensor:
        if not self.job.margin:
            return sharpen(color, self.amount)
        reach = seamless.CONTEXT
        padded = seamless.wrap_pad(color, reach)
        return sharpen(padded, self.amount)[..., reach:-reach, reach:-reach]

    def _advance(self, done: int, total: int) -> None:
        self.memory.sample()
        calls = self.index * self._calls_per_frame + self.calls
        step = calls * _STEPS + _STEPS * done // total
        self.progress(step, self._steps, self.live.picture)
        self.live.advance(step, self._steps, self.index)

    @property
    def _calls_per_frame(self) -> int:
        return 1 if self.batch.alpha is None else 2

    @property
    def _steps(self) -> int:
        return len(self.batch) * self._calls_per_frame * _STEPS

    def summary(self, seconds: float) -> Summary:
        """What happened, once all frames are done."""
        return Summary(
            self.job, len(self.batch), seconds, self.reports, self.memory.growth, self.notices
        )


def _mapped(frame: Frame, function: Callable[[Tensor], Tensor]) -> Frame:
    return Frame(function(frame.color), None if frame.alpha is None else function(frame.alpha))
