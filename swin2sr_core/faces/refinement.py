"""Face-region refinement of one picture: regions planned, computed again, blended into the base."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError
from ..models.model import Model
from ..pictures.alpha import bleed
from ..pictures.frame import Frame
from .compositing import MAX_FEATHER, Compositor, Grid, match_color
from .crops import CropRunner, PlanFor, Progress, ShouldStop, network_scale
from .face import Face
from .planning import Region, plan_regions
from .restoration import Restorer, restore


@dataclass(frozen=True)
class RefineSettings:
    """How faces are refined. Raises InputError for a value out of its range.

    `crop_factor` (1 or more): how much of a face's surroundings is refined with it. `strength`
    (0..1): of the change. `feather` (0..0.5): the soft border, as a part of a region's shorter
    side. `match_color`: low frequencies are the base's. `ensemble`: mean over eight turned and
    mirrored copies, for 8 times the work. `restore_strength` (0..1): of the restorer, if any.
    """

    crop_factor: float = 1.5
    strength: float = 1.0
    feather: float = 0.2
    match_color: bool = False
    ensemble: bool = False
    restore_strength: float = 0.5

    def __post_init__(self) -> None:
        limits = {
            "crop_factor": (1.0, math.inf),
            "strength": (0.0, 1.0),
            "feather": (0.0, MAX_FEATHER),
            "restore_strength": (0.0, 1.0),
        }
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and least <= value <= most):
                upto = "" if most == math.inf else f" to {most:g}"
                raise InputError(f"{name} must be {least:g}{upto or ' or more'}, got {value:g}")


@dataclass(frozen=True)
class Refined:
    """`frame`: the result, the base itself where nothing was done. `mask`: H W, the exact weights
    times strength. `fallbacks`: what did not go as planned.
    """

    frame: Frame
    mask: Tensor
    regions: tuple[Region, ...] = ()
    fallbacks: tuple[str, ...] = ()


def refine(
    model: Model,
    original: Frame,
    base: Frame,
    faces: Sequence[Face],
    settings: RefineSettings | None = None,
    budget_bytes: int | None = None,
    progress: Progress | None = None,
    should_stop: ShouldStop | None = None,
    plan_for: PlanFor | None = None,
    restorer: Restorer | None = None,
) -> Refined:
    """Compute the faces of `original` again with `model`, and blend them into `base`.

    `base` is any enlargement of `original`; `faces` (see `select_faces`) are in pixels of the
    original. Alpha is the base's, and a grey picture stays grey. Outside of the mask the result
    equals the base bit by bit, and inside it is a convex mixture of both. No input is changed.
    `plan_for` plans the crops (default: `make_plan` for `budget_bytes`). A `restorer` works on the
    faces that have landmarks, after the model. Raises InputError where the two pictures do not
    belong together, BudgetError where a crop fits in no way, Interrupted on request.
    """
    settings = settings or RefineSettings()
    grid = Grid(*original.color.shape[2:], *base.color.shape[2:])
    nothing = torch.zeros(base.color.shape[2:], device=base.color.device)
    if not faces or settings.strength == 0:
        return Refined(base, nothing)
    regions = plan_regions(
        faces, grid.height, grid.width, settings.crop_factor, model.config.window
    )
    runner = CropRunner(
        model,
        network_scale(model, grid.scale),
        settings.ensemble,
        budget_bytes,
        progress,
        should_stop,
        plan_for,
    )
    compositor = _composited(runner, original, base, grid, regions, settings)
    result = compositor.output[None]
    if restorer is not None and settings.restore_strength > 0:
        result = restore(restorer, result, grid, regions, compositor, settings.restore_strength)
    return Refined(Frame(result, base.alpha), compositor.mask, regions, tuple(runner.fallbacks))


def _composited(
    runner: CropRunner,
    original: Frame,
    base: Frame,
    grid: Grid,
    regions: Sequence[Region],
    settings: RefineSettings,
) -> Compositor:
    color = original.color if original.alpha is None else bleed(original.color, original.alpha)
    grey = color.shape[1] == 1 or base.color.shape[1] == 1
    targets = [grid.target(region.area) for region in regions]
    compositor = Compositor(base.color[0], targets, settings.feather, settings.strength)
    crops = [region.crop for region in regions]
    for index, made in runner.run(color.expand(-1, 3, -1, -1), crops):
        patch = grid.patch(made, crops[index], targets[index]).to(base.color.device)
        patch = patch.mean(dim=0, keepdim=True) if grey else patch
        patch = patch.expand(base.color.shape[1], -1, -1)
        if settings.match_color:
            there = base.color[0, :, targets[index].rows, targets[index].columns]
            patch = match_color(patch, there, grid.scale)
        compositor.add(index, patch)
    return compositor
