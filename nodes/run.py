"""A run of Tiled Upscale x4: frame by frame, each at its output size before it is kept."""

from __future__ import annotations

import logging
import time
from functools import partial

from torch import Tensor

from ..swin2sr_core.picture_job import Callbacks, PictureJob, PictureReport
from ..swin2sr_core.planning.picture_plan import PicturePlan, PictureSettings
from . import events, host, pictures
from .job import SLOWER, Candidate, plan_batch
from .live import Live
from .managed import UpscaleModel
from .pictures import Pictures
from .report import Summary

logger = logging.getLogger(__name__)

_STEPS = 1000
"""Steps of the progress bar per frame."""


def run(
    model: UpscaleModel, image: Tensor, mask: Tensor | None, settings: PictureSettings
) -> tuple[Tensor, Summary, events.Message]:
    """Upscale B H W C -> B h w 3|4 on ComfyUI's intermediate device, and tell how it went.

    The last value is what the page was told of it.

    `mask`, B|1 H W, is 1 where the picture is transparent. Raises InputError, BudgetError, and
    ComfyUI's own exception when the user cancels.
    """
    batch = pictures.take(image, mask)
    plan = plan_batch(Candidate.of(model), *batch.size, len(batch), settings, batch.output_channels)
    shape = len(batch), plan.height, plan.width, batch.output_channels
    host.load(model.patcher, plan.plan.forecast_bytes + host.bytes_beside(shape))
    started = time.perf_counter()
    output = host.output_tensor(*shape)
    worker = _Worker(model, plan, settings, batch, output)
    for index in range(len(batch)):
        worker.do(index)
    host.release_cache()
    summary = worker.summary(time.perf_counter() - started)
    told = worker.live.done(summary)
    logger.info("Swin2SR: %s", summary.line)
    return output, summary, told


class _Worker:
    """Upscales the frames of one batch into `output`, and keeps the count."""

    def __init__(
        self,
        model: UpscaleModel,
        plan: PicturePlan,
        settings: PictureSettings,
        batch: Pictures,
        output: Tensor,
    ) -> None:
        self.plan, self.batch, self.output = plan, batch, output
        self.job = PictureJob(model.core, settings, host.room, SLOWER)
        self.job.adopt(*batch.size, batch.output_channels, plan)
        self.report = PictureReport()
        self.memory = host.ResidentMemory()
        self.progress = host.Progress()
        self.live = Live(model, plan, len(batch), self.memory)
        self.steps = len(batch) * _STEPS

    def do(self, index: int) -> None:
        """Fill frame `index` of the output."""
        callbacks = Callbacks(
            progress=partial(self._advance, index),
            on_start=self.live.begin,
            on_piece=self.live.piece,
            on_fallback=self.live.fallback,
        )
        frame = self.job.run(self.batch.frame(index), self.report, callbacks)
        pictures.put(frame, self.output[index])
        if index == len(self.batch) - 1:  # the last piece comes after the last step
            self.progress(self.steps, self.steps, self.live.picture)

    def _advance(self, index: int, done: int, total: int) -> None:
        self.memory.sample()
        step = index * _STEPS + _STEPS * done // total
        self.progress(step, self.steps, self.live.picture)
        self.live.advance(step, self.steps, index)

    def summary(self, seconds: float) -> Summary:
        """What happened, once all frames are done."""
        return Summary(self.plan, len(self.batch), seconds, self.report, self.memory.growth)
