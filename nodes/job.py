"""What one run of Tiled Upscale x4 will do, decided before a tensor moves."""

from __future__ import annotations

from dataclasses import dataclass

from ..swin2sr_core import BudgetError, InputError, Plan, plan_upscale
from ..swin2sr_core.pictures import seamless
from ..swin2sr_core.planning.plan import output_size, pass_count
from ..swin2sr_core.units import format_bytes
from . import host
from .managed import UpscaleModel

EDGES = ("reflect", "wrap")

_SLOWER = 1.25
"""How much slower a plan may be that needs no other model to be unloaded."""


@dataclass(frozen=True)
class Settings:
    """The node's widgets; 0 stands for: decided here. `max_memory` is in GB (2**30 bytes)."""

    scale: float = 4.0
    longest_side: int = 0
    sharpen: float = 0.0
    edge: str = "reflect"
    strategy: str = "auto"
    tile_size: int = 0
    overlap: int = 0
    max_memory: float = 0.0
    max_input_side: int = 0

    def __post_init__(self) -> None:
        if self.edge not in EDGES:
            raise InputError(f"edge must be one of {', '.join(EDGES)}, got {self.edge}")
        if self.longest_side == 0 and not 0.25 <= self.scale <= 4:
            raise InputError(f"scale must be from 0.25 to 4, got {self.scale:g}")


@dataclass(frozen=True)
class Job:
    """A plan for every frame of a batch, and what happens around it; sizes are in pixels.

    The result has `height` x `width`. `margin` is what is padded on every side before the network,
    which makes `factor` times as many pixels: 0 unless the edges wrap.
    """

    plan: Plan
    height: int
    width: int
    margin: int
    factor: int


def make_job(model: UpscaleModel, height: int, width: int, frames: int, settings: Settings) -> Job:
    """Plan `frames` pictures of height x width. Raises InputError and BudgetError."""
    scale = settings.longest_side / max(height, width) if settings.longest_side else settings.scale
    size = output_size(height, width, scale)
    finished = _room_for_finished(frames, *size)
    factor = model.scale ** pass_count(model.config, scale)
    if settings.edge == "reflect":
        plan = _plan(model, height, width, scale, finished, settings)
        return Job(plan, *size, 0, factor)
    margin = seamless.margin(model.config.window)
    padded = (height + 2 * margin, width + 2 * margin)
    plan = _plan(model, *padded, factor, finished, settings)
    return Job(plan, *size, margin, factor)


def _room_for_finished(frames: int, height: int, width: int) -> int:
    """Bytes of the finished pictures, RGBA; raises BudgetError where they alone are too many."""
    size = frames * height * width * 4 * 4
    if size > (free := host.free_bytes(host.output_device())):
        raise BudgetError(
            f"{frames} finished picture(s) of {width}x{height} take {format_bytes(size)}, and "
            f"{format_bytes(free)} is free; upscale fewer at a time, or to a smaller size"
        )
    return size


def _plan(
    model: UpscaleModel, height: int, width: int, scale: float, finished: int, settings: Settings
) -> Plan:
    """The plan for one frame, if possible one for which ComfyUI need not unload other models."""
    device = host.compute_device()

    def plan(budget: int) -> Plan:
        return plan_upscale(
            model.config,
            height,
            width,
            scale,
            model.core.precision,
            budget,
            settings.strategy,
            device.type,
            batch=3 if model.config.in_channels == 1 else 1,
            tile=settings.tile_size,
            overlap=settings.overlap or None,
        )

    if settings.max_memory > 0:
        return plan(int(settings.max_memory * 2**30))
    # Besides what the plan counts: the finished frames where they share the memory, the weights.
    others = finished if device == host.output_device() else 0
    others += model.weight_bytes - model.patcher.loaded_size()
    most = plan(int(host.available_bytes(device) * 0.9) - others)
    if device.type == "cpu":
        return most
    try:
        modest = plan(host.free_bytes(device) - others)
    except BudgetError:
        return most
    return modest if _cost(modest) <= _SLOWER * _cost(most) else most


def _cost(plan: Plan) -> int:
    return sum(each.cost for each in plan.passes)
