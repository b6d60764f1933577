"""What will happen to one picture, from its size to the size of the result: decided, not run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..errors import BudgetError, InputError
from ..network.config import Swin2SRConfig
from ..network.window_grid import round_up
from ..sentences import sentence
from ..units import format_bytes
from .budget import Room, plan_within
from .choices import EDGES, MAX_SHARPEN
from .plan import Plan
from .request import PlanRequest

WRAP_CONTEXT = 32
"""Pixels of the neighbouring repetition that the network sees on every side, at least.

Measured against 96 px on a photograph: the official lightweight x2 network differs by 0.02/255 at
most (0.3 with 16 px), compact-x4 by less than 0.01.
"""


_MEGAPIXEL = 1024 * 1024
"""As ComfyUI counts them."""


@dataclass(frozen=True, kw_only=True)
class PictureSettings:
    """How pictures are to be upscaled. Raises InputError for values out of range.

    `longest_side` (pixels of the result; 0: not given) or `megapixels` (of the result, 1024x1024
    each; 0: not given) takes the place of `scale` (None: x4, or x1 for restoration). `sharpen` is 0
    to 0.5, `edge` reflect or wrap (textures that tile). Pictures with a side over `max_input_side`
    (0: no limit) are reduced first. `max_memory` is in bytes, None for what is free; on a CPU
    `program_bytes` of it are the process's own. Tiles, and `streamed` (where a picture is one that
    can be), are as in `PlanRequest`.
    """

    scale: float | None = None
    longest_side: int = 0
    megapixels: float = 0.0
    sharpen: float = 0.0
    edge: str = "reflect"
    strategy: str = "auto"
    tile: int = 0
    overlap: int | None = None
    max_memory: int | None = None
    max_input_side: int = 0
    streamed: int | None = None
    program_bytes: int = 0

    def __post_init__(self) -> None:
        if self.edge not in EDGES:
            raise InputError(f"edge must be one of {', '.join(EDGES)}, got {self.edge}")
        if not (math.isfinite(self.sharpen) and 0 <= self.sharpen <= MAX_SHARPEN):
            raise InputError.saying(
                "sharpen_range",
                "sharpen must be from 0 (off) to {most:g}, got {sharpen:g}",
                most=MAX_SHARPEN,
                sharpen=self.sharpen,
            )
        if self.longest_side < 0:
            raise InputError.saying(
                "longest_side_range",
                "longest_side must be 0 (use scale) or more, got {longest_side}",
                longest_side=self.longest_side,
            )
        if not (math.isfinite(self.megapixels) and self.megapixels >= 0):
            raise InputError.saying(
                "megapixels_range",
                "megapixels must be 0 (use scale) or more, got {megapixels:g}",
                megapixels=self.megapixels,
            )
        if self.longest_side and self.megapixels:
            raise InputError.saying(
                "two_sizes",
                "longest_side is {longest_side} and megapixels {megapixels:g}, and only one "
                "can tell the size; set the other to 0",
                longest_side=self.longest_side,
                megapixels=self.megapixels,
            )

    def scale_of(self, height: int, width: int) -> float | None:
        """What is asked for, as a scale of a picture of this size; None where nothing is."""
        if self.longest_side:
            return self.longest_side / max(height, width)
        if self.megapixels:
            return math.sqrt(self.megapixels * _MEGAPIXEL / (height * width))
        return self.scale


@dataclass(frozen=True)
class Prospect:
    """A model as far as planning asks about it: its network, and what it would run on."""

    config: Swin2SRConfig
    precision: str = "fp32"
    device_type: str = "cpu"
    native_bf16: bool = False
    kernel_threads: int = 0
    exported: bool = False

    def request(
        self,
        height: int,
        width: int,
        scale: float | None = None,
        *,
        batch: int = 1,
        strategy: str = "auto",
        tile: int = 0,
        overlap: int | None = None,
        blend: str = "gaussian",
        streamed: int | None = None,
    ) -> PlanRequest:
        """What to plan for a picture of height x width; see `PlanRequest`."""
        return PlanRequest(
            config=self.config,
            precision=self.precision,
            device_type=self.device_type,
            native_bf16=self.native_bf16,
            kernel_threads=self.kernel_threads,
            exported=self.exported,
            height=height,
            width=width,
            scale=scale,
            batch=batch,
            strategy=strategy,
            tile=tile,
            overlap=overlap,
            blend=blend,
            streamed=streamed,
        )


@dataclass(frozen=True)
class PicturePlan:
    """What every frame of a picture goes through; sizes are in pixels.

    The input is first reduced to `input_height` x `input_width` where it has to be, which `notices`
    tell. The result has `height` x `width`. `margin` is what is padded on every side before the
    network, which makes `factor` times as many pixels: 0 unless the edges wrap.
    """

    plan: Plan
    input_height: int
    input_width: int
    height: int
    width: int
    margin: int = 0
    factor: int = 1
    notices: tuple[str, ...] = ()

    def after(self, plan: Plan) -> PicturePlan:
        """The same with another plan, to which running out of memory has led."""
        return self if plan == self.plan else replace(self, plan=plan)


def plan_picture(
    model: Prospect,
    height: int,
    width: int,
    settings: PictureSettings,
    room: Room,
    *,
    channels: int = 3,
    slower: float = 1.0,
) -> PicturePlan:
    """Plan a picture of height x width with `channels`: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.

    Raises InputError and BudgetError; `slower` is as in `plan_within`.
    """
    limit = settings.max_input_side
    request = _request(model, height, width, settings, channels)
    gated = request.height, request.width
    notices = () if gated == (height, width) else (notice((height, width), gated, limit),)
    size, factor, margin = request.output_size, model.config.scale**request.passes, 0
    if settings.edge == "wrap":
        margin = wrap_margin(model.config.window)
        padded_height, padded_width = (side + 2 * margin for side in gated)
        request = replace(request, height=padded_height, width=padded_width, scale=float(factor))
    plan = _planned(request, room, settings, slower)
    return PicturePlan(plan, *gated, *size, margin, factor, notices)


def _planned(request: PlanRequest, room: Room, settings: PictureSettings, slower: float) -> Plan:
    """Within the limit, less what the program itself takes where they share the memory."""
    limit, program = settings.max_memory, settings.program_bytes if request.unified else 0
    if limit is None or not program:
        return plan_within(request, room, limit, slower)
    try:
        plan = plan_within(request, room, limit - program, slower)
    except BudgetError as error:
        least = program + (error.least_bytes or 0)
        raise BudgetError(
            sentence(
                "no_plan_with_program",
                "{width}x{height} in {precision} does not fit into {budget} with the program "
                "itself ({program}); the smallest budget that works is {least}",
                width=request.width,
                height=request.height,
                precision=request.precision,
                budget=format_bytes(limit),
                program=format_bytes(program),
                least=format_bytes(least, up=True),
            ),
            least,
        ) from error
    note = sentence(
        "program_own",
        "of {budget}, {program} are the program's own",
        budget=format_bytes(limit),
        program=format_bytes(program),
    )
    return replace(plan, notes=(*plan.notes, note))


def picture_output_size(
    model: Prospect, height: int, width: int, settings: PictureSettings
) -> tuple[int, int]:
    """Height and width of what `plan_picture` leads to, before there is a plan."""
    return _request(model, height, width, settings).output_size


def _request(
    model: Prospect, height: int, width: int, settings: PictureSettings, channels: int = 3
) -> PlanRequest:
    """What to plan for the picture once it is reduced to the limit, its edges not yet wrapped."""
    gated = gated_size(height, width, settings.max_input_side)
    return model.request(
        *gated,
        settings.scale_of(*gated),
        batch=results_at_once(model.config, channels),
        strategy=settings.strategy,
        tile=settings.tile,
        overlap=settings.overlap,
        streamed=settings.streamed if can_stream(model.config, channels, settings) else None,
    )


def can_stream(config: Swin2SRConfig, channels: int, settings: PictureSettings) -> bool:
    """Whether such a picture can leave row by row: alpha needs its own whole, edges that wrap the
    other end."""
    return config.in_channels == 3 and channels in (1, 3) and settings.edge != "wrap"


def gated_size(height: int, width: int, max_side: int) -> tuple[int, int]:
    """Height and width with no side over `max_side` pixels (0: no limit), in proportion."""
    if max_side < 0:
        raise InputError.saying(
            "max_input_side_range",
            "max_input_side must be 0 (no limit) or more, got {max_side}",
            max_side=max_side,
        )
    longest = max(height, width)
    if max_side == 0 or longest <= max_side:
        return height, width
    factor = max_side / longest
    return max(1, round(height * factor)), max(1, round(width * factor))


def notice(before: tuple[int, int], after: tuple[int, int], max_side: int) -> str:
    """What users are told; sizes are (height, width)."""
    return sentence(
        "reduced_first",
        "{before} was reduced to {after} first, as max_input_side is {most}",
        before=f"{before[1]}x{before[0]}",
        after=f"{after[1]}x{after[0]}",
        most=max_side,
    )


def wrap_margin(window: int) -> int:
    """Pixels to pad on every side: whole windows, so that the windows lie as without padding."""
    return round_up(WRAP_CONTEXT, window)


def results_at_once(config: Swin2SRConfig, channels: int) -> int:
    """Results of the network that are live at once: the colours wait while alpha is upscaled.

    A network for grey pictures sees every channel as a picture of its own.
    """
    alpha = channels in (2, 4)
    planes = channels - alpha if config.in_channels == 1 else 1
    return planes + alpha
