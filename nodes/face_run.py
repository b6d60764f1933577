"""A run of Face-Region Refine: regions of all frames first, then one frame after the other."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..swin2sr_core import InputError, Model, ModelNotFoundError, Plan
from ..swin2sr_core.faces import (
    Face,
    Grid,
    Refined,
    RefineSettings,
    Skipped,
    draw_faces,
    plan_regions,
    refine,
    select_faces,
)
from ..swin2sr_core.faces.crops import crop_plans
from ..swin2sr_core.planning.budget import plan_within
from ..swin2sr_core.planning.request import usual_scale
from . import events, host, pictures
from .face_events import FaceEvents
from .face_regions import as_boxes
from .face_restorer import FaceRestorer
from .face_source import find_regions, with_landmarks
from .job import SLOWER, Candidate, node_settings
from .managed import UpscaleModel
from .pictures import Pictures
from .run import run as upscale_all

logger = logging.getLogger(__name__)

_STEPS = 1000


@dataclass(frozen=True)
class Choice:
    """Which faces: the node's widgets, and what is wired to tell."""

    source: str
    min_face: int
    max_faces: int
    score: float
    regions: object = None
    mask: Tensor | None = None


@dataclass
class Outcome:
    """The node's outputs: B H W C, B H W, boxes per frame, faces in all, B h w 3; what was told."""

    image: Tensor
    mask: Tensor
    faces: list[list[dict[str, object]]] = field(default_factory=list)
    count: int = 0
    preview: Tensor = field(default_factory=lambda: torch.zeros(0))
    told: events.Message = field(default_factory=dict)


def run(
    model: UpscaleModel,
    image: Tensor,
    upscaled: Tensor | None,
    choice: Choice,
    settings: RefineSettings,
    restorer: FaceRestorer | None = None,
) -> Outcome:
    """Refine the chosen regions of `image`, B H W C, in `upscaled` (None: made with the model).

    Where there is no face, `upscaled` itself comes out. Raises InputError, BudgetError,
    ModelNotFoundError, and ComfyUI's own exception when the user cancels.
    """
    batch = pictures.take(image, None)
    chosen = _chosen(batch, choice)
    if upscaled is None:
        wanted = node_settings(scale=usual_scale(model.scale))
        upscaled, *_ = upscale_all(model, image, None, wanted)
    base = pictures.take(upscaled, None)
    if len(base) != len(batch):
        raise InputError.saying(
            "pictures_differ",
            "there are {originals} original and {upscaled} upscaled pictures, expected as "
            "many; wire both from the same pictures",
            originals=len(batch),
            upscaled=len(base),
        )
    worker = _Worker(model, batch, base, settings, restorer)
    worker.prepare(chosen)
    if restorer is None:
        return worker.run()
    with restorer.loaded():
        return worker.run()


def _chosen(batch: Pictures, choice: Choice) -> list[tuple[list[Face], list[Skipped]]]:
    found, wanted = find_regions(choice.source, batch, choice.regions, choice.mask, choice.score)
    return [
        select_faces(faces, *batch.size, choice.min_face, choice.max_faces, choice.score, means)
        for faces, means in zip(found, wanted, strict=True)
    ]


class _Worker:
    """Refines the frames of one batch."""

    def __init__(
        self,
        model: UpscaleModel,
        batch: Pictures,
        base: Pictures,
        settings: RefineSettings,
        restorer: FaceRestorer | None,
    ) -> None:
        self.model, self.batch, self.base = model, batch, base
        self.settings, self.restorer = settings, restorer
        self.grid = Grid(*batch.size, *base.size)
        self.chosen: list[tuple[list[Face], list[Skipped]]] = []
        self.progress = host.Progress()
        self.events = FaceEvents(len(batch))
        self.fallbacks: list[str] = []
        self.index = 0

    def prepare(self, chosen: list[tuple[list[Face], list[Skipped]]]) -> None:
        """Plan every crop of every frame, and have the model loaded with room for the largest."""
        self.chosen = chosen
        plans = [
            plan
            for faces, _ in chosen
            for plan in crop_plans(
                self.model.core, self._regions(faces), self.grid.scale, self.plan_for
            )
        ]
        if plans and self.settings.strength > 0:
            host.load(self.model.patcher, max(plan.forecast_bytes for plan in plans))

    def run(self) -> Outcome:
        """All frames; the batch is copied when the first of them changes."""
        image, size = self.base.image, self.base.size
        outcome = Outcome(image, host.output_tensor(len(self.base), *size).zero_())
        previews = []
        for index, (faces, skipped) in enumerate(self.chosen):
            self.index = index
            self.progress(index * _STEPS, len(self.chosen) * _STEPS)
            refined = self._refined(index, faces)
            if refined is not None:
                if outcome.image is image:
                    outcome.image = image.clone()
                _put(refined, outcome.image[index], outcome.mask[index])
            boxes = [face.scaled(self.grid.scale_x, self.grid.scale_y) for face in faces]
            outcome.faces.append(as_boxes(boxes))
            outcome.count += len(faces)
            color = self.batch.frame(index).color
            previews.append(draw_faces(color, self._regions(faces), skipped))
        self.progress(_STEPS, _STEPS)
        outcome.preview = torch.cat(previews).movedim(1, -1).to(host.output_device())
        host.release_cache()
        outcome.told = self._tell(outcome.count)
        return outcome

    def _tell(self, count: int) -> events.Message:
        refined = count if self.settings.strength > 0 else 0
        skipped = sum(len(each) for _, each in self.chosen) + count - refined
        told = self.events.done(refined, skipped, self.fallbacks)
        logger.info(
            "Face-Region Refine: %s faces refined, %s left, in %s pictures of %sx%s, %s, %.2f s",
            *(refined, skipped, len(self.base), *self.base.size[::-1]),
            *(self.model.core.name, self.events.seconds),
        )
        return told

    def plan_for(self, core: Model, height: int, width: int, scale: float, batch: int) -> Plan:
        """A plan for crops; if possible one for which ComfyUI need not unload other models."""
        model = Candidate.of(self.model)
        request = replace(
            model.prospect.request(height, width, scale, batch=batch), precision=core.precision
        )
        return plan_within(request, host.room(model.missing_bytes), slower=SLOWER)

    def _regions(self, faces: list[Face]) -> tuple:
        window = self.model.config.window
        return plan_regions(faces, *self.batch.size, self.settings.crop_factor, window)

    def _refined(self, index: int, faces: list[Face]) -> Refined | None:
        """None where nothing changes."""
        if not faces or self.settings.strength == 0:
            return None
        if self.restorer is not None:
            faces = self._landmarked(index, faces)
        refined = refine(
            self.model.core,
            self.batch.frame(index),
            self.base.frame(index),
            faces,
            self.settings,
            progress=self._advance,
            plan_for=self.plan_for,
            restorer=self.restorer,
        )
        for text in refined.fallbacks:
            logger.warning("picture %d: %s", index + 1, text)
            self.fallbacks.append(text)
        return refined

    def _landmarked(self, index: int, faces: list[Face]) -> list[Face]:
        try:
            return with_landmarks(faces, self.batch, index)
        except ModelNotFoundError as error:
            raise ModelNotFoundError.saying(
                "restorer_landmarks",
                "a restorer needs eyes, nose and mouth, which wired regions do not tell: {error}",
                error=error,
            ) from error

    def _advance(self, done: int, total: int) -> None:
        steps = self.index * _STEPS + _STEPS * done // max(total, 1)
        all_steps = len(self.chosen) * _STEPS
        self.progress(steps, all_steps)
        self.events.advance(self.index, steps / all_steps)


def _put(refined: Refined, image: Tensor, mask: Tensor) -> None:
    """Write a frame's colours, 1 C H W, into H W C; alpha stays, grey becomes what is there."""
    channels = min(3, image.shape[-1])
    color = refined.frame.color[0].movedim(0, -1)
    image[..., :channels].copy_(color.expand(*image.shape[:2], channels))
    mask.copy_(refined.mask)
