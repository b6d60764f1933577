"""An optional second model over refined faces: one that was made for aligned faces of 512 px."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .alignment import TEMPLATE, Similarity, align, unalign
from .compositing import Compositor, Grid
from .face import Face
from .planning import Region

logger = logging.getLogger(__name__)

Restorer = Callable[[Tensor], Tensor]
"""An aligned face, 1 x 3 x 512 x 512 in 0..1, -> the same, restored."""


def restore(
    restorer: Restorer,
    image: Tensor,
    grid: Grid,
    regions: Sequence[Region],
    compositor: Compositor,
    strength: float,
) -> Tensor:
    """`image`, 1 x C x H x W, with its faces restored, each within its region's own weights.

    All faces are taken from `image` as it comes and blended by `strength`, so their order changes
    nothing. Faces without landmarks, and those whose restored picture is not finite, stay.
    """
    amount = strength * compositor.strength
    second = Compositor(image[0], compositor.targets, compositor.feather, amount)
    for index, region in enumerate(regions):
        target = compositor.targets[index]
        patch = image[0, :, target.rows, target.columns].float()
        for face in region.faces:
            patch = _restored(restorer, image, patch, face, grid, compositor, index)
        second.add(index, patch)
    return second.output[None]


def _restored(
    restorer: Restorer,
    image: Tensor,
    patch: Tensor,
    face: Face,
    grid: Grid,
    compositor: Compositor,
    index: int,
) -> Tensor:
    """`patch`, C h w, with this face in it restored."""
    points = [(x * grid.scale_x, y * grid.scale_y) for x, y in face.landmarks]
    similarity = Similarity.between(points, TEMPLATE) if len(points) == len(TEMPLATE) else None
    if similarity is None:
        logger.warning("a face without landmarks is not restored; let the detector find it")
        return patch
    aligned = align(image, similarity).expand(-1, 3, -1, -1)
    restored = restorer(aligned).to(image.device, torch.float32)
    if not bool(torch.isfinite(restored).all()):
        logger.warning("the restorer's result is not finite; the face stays as it was")
        return patch
    if patch.shape[0] == 1:
        restored = restored.mean(dim=1, keepdim=True)
    pixels, inside = unalign(restored, similarity, compositor.targets[index])
    return patch + inside * (pixels - patch)
