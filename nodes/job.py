"""What one run of Tiled Upscale x4 will do, decided before a tensor moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..swin2sr_core import BudgetError, InputError
from ..swin2sr_core.models.model import prospect_on
from ..swin2sr_core.planning.picture_plan import (
    PicturePlan,
    PictureSettings,
    Prospect,
    picture_output_size,
    plan_picture,
)
from ..swin2sr_core.units import format_bytes
from . import host
from .managed import UpscaleModel

SLOWER = 1.25
"""How much slower a plan may be that needs no other model to be unloaded.

Loading a diffusion model again takes seconds; a quarter of an upscale seldom does.
"""

LEAST_SCALE, MOST_SCALE = 0.25, 4.0


def node_settings(
    scale: float = 4.0,
    longest_side: int = 0,
    sharpen: float = 0.0,
    edge: str = "reflect",
    strategy: str = "auto",
    tile_size: int = 0,
    overlap: int = 0,
    max_memory: float = 0.0,
    max_input_side: int = 0,
    megapixels: float = 0.0,
) -> PictureSettings:
    """The node's widgets; 0 stands for: decided here. `max_memory` is in GB (2**30 bytes)."""
    if not (longest_side or megapixels) and not LEAST_SCALE <= scale <= MOST_SCALE:
        raise InputError.saying(
            "scale_range",
            "scale must be from {least:g} to {most:g}, got {scale:g}",
            least=LEAST_SCALE,
            most=MOST_SCALE,
            scale=scale,
        )
    return PictureSettings(
        scale=scale,
        longest_side=longest_side,
        sharpen=sharpen,
        edge=edge,
        strategy=strategy,
        tile=tile_size,
        overlap=overlap or None,
        max_memory=math.ceil(max_memory * 2**30) or None,  # 0 is meant, and no small number
        max_input_side=max_input_side,
        megapixels=megapixels,
    )


@dataclass(frozen=True)
class Candidate:
    """A model that is to run, loaded or not: what planning asks, and the weights still to come."""

    prospect: Prospect
    missing_bytes: int = 0

    @classmethod
    def of(cls, model: UpscaleModel) -> Candidate:
        """A loaded model, as it will be on the device that computes."""
        if model.core.exported:
            return cls(model.core.prospect)
        prospect = prospect_on(host.compute_device(), model.config, model.core.precision)
        return cls(prospect, model.weight_bytes - model.patcher.loaded_size())


def plan_batch(
    model: Candidate,
    height: int,
    width: int,
    frames: int,
    settings: PictureSettings,
    channels: int = 3,
) -> PicturePlan:
    """The plan of each of `frames` pictures of height x width. Raises InputError, BudgetError."""
    finished = _finished_bytes(model, height, width, frames, settings)
    # Besides what the plan counts: the weights, and the finished frames.
    room = host.room(model.missing_bytes, finished)
    return plan_picture(
        model.prospect, height, width, settings, room, channels=channels, slower=SLOWER
    )


def _finished_bytes(
    model: Candidate, height: int, width: int, frames: int, settings: PictureSettings
) -> int:
    """Bytes of the finished pictures, RGBA; raises BudgetError where they alone are too many."""
    height, width = picture_output_size(model.prospect, height, width, settings)
    size = frames * height * width * 4 * 4
    if size > (free := host.free_bytes(host.output_device())):
        raise BudgetError.saying(
            "finished_bytes",
            "{frames} finished picture(s) of {width}x{height} take {size}, and {free} is "
            "free; upscale fewer at a time, or to a smaller size",
            frames=frames,
            width=width,
            height=height,
            size=format_bytes(size),
            free=format_bytes(free),
        )
    return size
