"""Everything that is decided before a tensor moves: strategy, bands, pieces, memory forecast.

Pure functions of integers: (config, image size, budget) -> `Plan`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from ..errors import BudgetError, InputError
from ..machine.devices import has_native_bf16
from ..network.config import Swin2SRConfig
from ..network.window_grid import round_up
from ..units import format_bytes
from .candidates import fastest_pass, fastest_that_fits, pass_candidates
from .forecast import ELEMENT_BYTES, FP32_BYTES
from .pass_plan import PassPlan

STRATEGIES = ("auto", "whole", "staged", "tiled")
BLENDS = ("gaussian", "cosine", "linear")

_OVERLAP = 32


@dataclass(frozen=True)
class Plan:
    """All that is decided about upscaling one image; `passes` are run one after the other.

    `scale` is what the caller asked for; the passes make `network_scale` of it, and a difference is
    reduced with antialiasing. Every frame of a batch runs the same plan. `asked_strategy` is what
    the caller asked for, `notes` tell what was changed of what was asked.
    """

    passes: tuple[PassPlan, ...]
    scale: float
    output_height: int
    output_width: int
    budget_bytes: int | None = None
    notes: tuple[str, ...] = ()
    asked_strategy: str = "auto"

    @property
    def strategy(self) -> str:
        return self.passes[-1].strategy

    @property
    def precision(self) -> str:
        return self.passes[-1].precision

    @property
    def fullest(self) -> PassPlan:
        """The pass with the highest forecast."""
        return max(self.passes, key=lambda each: each.forecast_bytes)

    @property
    def forecast(self) -> dict[str, int]:
        """Bytes on the compute device at the fullest moment, by term."""
        return dict(self.fullest.forecast)

    @property
    def forecast_bytes(self) -> int:
        """Peak live tensor bytes on the compute device, weights and input not included."""
        return self.fullest.forecast_bytes

    @property
    def host_bytes(self) -> int:
        """Peak bytes in host memory that `forecast_bytes` does not contain."""
        return max(each.host_bytes for each in self.passes)

    @property
    def total_bytes(self) -> int:
        """Peak bytes on the device and in host memory together."""
        return max(each.total_bytes for each in self.passes)

    @property
    def work(self) -> int:
        """Floating-point operations of all passes."""
        return sum(each.work for each in self.passes)

    def to_dict(self) -> dict[str, object]:
        """For JSON: plain numbers and strings."""
        return {
            "strategy": self.strategy,
            "precision": self.precision,
            "scale": self.scale,
            "output_size": [self.output_width, self.output_height],
            "forecast_bytes": self.forecast_bytes,
            "host_bytes": self.host_bytes,
            "forecast": self.forecast,
            "work_gflop": round(self.work / 1e9, 3),
            "notes": list(self.notes),
            "passes": [
                {
                    "input_size": [each.width, each.height],
                    "scale": each.config.scale,
                    "strategy": each.strategy,
                    "band_windows": each.band_windows,
                    "conv_side": each.conv_side,
                    "strip_side": each.strip_side,
                    "region_side": each.region_side if each.strategy == "staged" else None,
                    "tile_side": each.tile_side if each.strategy == "tiled" else None,
                    "overlap": each.overlap if each.strategy == "tiled" else None,
                    "forecast_bytes": each.forecast_bytes,
                    "work_gflop": round(each.work / 1e9, 3),
                }
                for each in self.passes
            ],
        }

    def __str__(self) -> str:
        lines = [
            f"{self.passes[0].width}x{self.passes[0].height} -> "
            f"{self.output_width}x{self.output_height} in {len(self.passes)} pass(es), "
            f"{self.precision}, {self.work / 1e12:.2f} TFLOP"
        ]
        for number, each in enumerate(self.passes, 1):
            region = {
                "staged": f", regions of {each.region_side} px",
                "tiled": f", tiles of {each.tile_side} px that overlap by {each.overlap}",
            }.get(each.strategy, "")
            lines.append(
                f"  pass {number}: {each.strategy}, bands of {each.band_windows} windows, "
                f"pieces of {each.conv_side} px, head pieces of {each.strip_side} px{region}"
            )
        lines.append("  memory at the fullest moment:")
        lines += [f"    {name:<16}{format_bytes(size):>10}" for name, size in self.forecast.items()]
        lines.append(f"    {'all':<16}{format_bytes(self.forecast_bytes):>10}")
        if self.host_bytes:
            lines.append(f"  and in host memory{format_bytes(self.host_bytes):>12}")
        if self.budget_bytes is not None:
            lines.append(f"  budget            {format_bytes(self.budget_bytes):>12}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def plan_upscale(
    config: Swin2SRConfig,
    height: int,
    width: int,
    scale: float | None = None,
    precision: str = "fp32",
    budget_bytes: int | None = None,
    strategy: str = "auto",
    device_type: str = "cpu",
    batch: int = 1,
    tile: int = 0,
    overlap: int | None = None,
    blend: str = "gaussian",
) -> Plan:
    """The fastest plan for one height x width image that fits into `budget_bytes` (None: any).

    `scale` is the whole enlargement (None: x4, or x1 for restoration networks). On a CPU the budget
    covers all that is live, pictures and host maps included; elsewhere what is on the device.
    `auto` prefers the exact strategies and tiles only what fits in no other way. `tile` and
    `overlap` (LR pixels, 0 or None: chosen) are for *tiled* and are rounded to the window, with a
    note.
    `blend` is gaussian, cosine or linear. Raises `InputError` for impossible values and
    `BudgetError`, naming the smallest budget that works, when nothing fits.
    """
    if height < 1 or width < 1:
        raise InputError(f"an image has at least 1x1 pixels, got {width}x{height}")
    if precision not in ELEMENT_BYTES:
        raise InputError(
            f"precision must be one of {', '.join(ELEMENT_BYTES)} here, got {precision}"
        )
    if strategy not in STRATEGIES:
        raise InputError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy}")
    scale = (4 if config.scale > 1 else 1) if scale is None else scale
    count = pass_count(config, scale)
    output = output_size(height, width, scale)
    tile, overlap, notes = _rounded_tile(config, tile, overlap)
    if blend not in BLENDS:
        raise InputError(f"blend must be one of {', '.join(BLENDS)}, got {blend}")
    firsts = [
        replace(first, tile_side=tile, overlap=overlap, blend=blend)
        for first in _passes(config, (height, width), output, count, precision, device_type, batch)
    ]
    taken = [fastest_that_fits(pass_candidates(first, strategy), budget_bytes) for first in firsts]
    passes = tuple(each for each in taken if each is not None)
    if len(passes) < count:
        raise _no_plan(firsts, strategy, budget_bytes or 0)
    return Plan(passes, scale, *output, budget_bytes, notes, strategy)


def _passes(
    config: Swin2SRConfig,
    size: tuple[int, int],
    output: tuple[int, int],
    count: int,
    precision: str,
    device_type: str,
    batch: int,
) -> Iterator[PassPlan]:
    """Each pass in its fastest way, knowing the pictures that live beside it.

    These are the batch's output, and what the pass before made. The last pass writes straight into
    the output unless it is to be reduced.
    """
    pixel_bytes = config.in_channels * FP32_BYTES
    final = output[0] * output[1] * pixel_bytes
    for index in range(count):
        height, width = (side * config.scale**index for side in size)
        made = (height * config.scale, width * config.scale)
        direct = index == count - 1 and made == output
        before = height * width * pixel_bytes if index else 0
        others = final * batch - (final if direct else 0) + before
        first = fastest_pass(config, height, width, precision, device_type == "cpu")
        narrow = precision == "int8" and has_native_bf16(torch.device(device_type))
        yield replace(first, other_bytes=others, narrow_head=narrow)


def _no_plan(firsts: list[PassPlan], strategy: str, budget: int) -> BudgetError:
    """The error that names the smallest budget into which every pass fits."""
    least = max(
        min(each.charged_bytes for each in pass_candidates(first, strategy)) for first in firsts
    )
    return BudgetError(
        f"{firsts[0].width}x{firsts[0].height} in {firsts[0].precision} does not fit into "
        f"{format_bytes(budget)}; the smallest budget that works is {format_bytes(least, up=True)}",
        least,
    )


def pass_count(config: Swin2SRConfig, scale: float) -> int:
    """How often the network is applied: until its scale to that power reaches `scale`."""
    if not 0 < scale <= 64:
        raise InputError(f"scale must be over 0 and at most 64, got {scale:g}")
    if config.scale == 1:
        if scale > 1:
            raise InputError(
                f"this checkpoint restores at x1 and can't enlarge to x{scale:g}; use --scale 1 or "
                "another model"
            )
        return 1
    return max(1, math.ceil(math.log(scale, config.scale) - 1e-9))


def output_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Output height and width: rounded to the nearest pixel, at least one."""
    return max(1, round(height * scale)), max(1, round(width * scale))


def _rounded_tile(
    config: Swin2SRConfig, tile: int, overlap: int | None
) -> tuple[int, int, tuple[str, ...]]:
    """Tile side (0: the planner's choice) and overlap on the window grid, with notes on changes."""
    window = config.window
    asked = overlap
    overlap = round_up(_OVERLAP if overlap is None else overlap, window)
    if tile < 0 or overlap < 0:
        raise InputError(f"tile and overlap can't be negative, got {tile} and {asked}")
    notes = []
    if asked is not None and asked != overlap:
        notes.append(f"overlap {asked} became {overlap}, a multiple of the window ({window})")
    if tile == 0:
        return 0, overlap, tuple(notes)
    rounded = max(round_up(tile, window), overlap + 2 * window)
    if rounded != tile:
        notes.append(
            f"tile {tile} became {rounded}: a multiple of the window ({window}) that leaves room "
            f"beside an overlap of {overlap}"
        )
    return rounded, overlap, tuple(notes)
