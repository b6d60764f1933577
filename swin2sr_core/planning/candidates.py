"""The ways to run a pass that the planner considers, and which of them it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..network.config import Swin2SRConfig
from ..network.window_grid import round_up
from .forecast import ELEMENT_BYTES
from .pass_plan import PassPlan
from .strategies import Staged, Tiled, Whole, layout
from .tiles import Tiling
from .workspace import WorkspaceSizes

_CACHE_BYTES = 12 << 20
"""Of a band's temporaries on a CPU: they stay in L3, and starting the operations hardly counts."""

_GPU_BAND_WINDOWS = 1024
_CONV_SIDE = 128
_CPU_HEAD_SIDE, _GPU_HEAD_SIDE = 64, 128
_TILE = 384
"""What *tiled* takes by itself: the side from which tiles no longer gain (benchmarks/tiles.py)."""

_TILE_SIDES = (768, 512, 384, 256, 192, 128, 96)
_EXPORTED_SIDES = tuple(side for side in _TILE_SIDES if side <= _TILE)
"""Another runtime keeps all of a tile's logits: larger tiles take gigabytes and gain nothing."""

_REGION_WINDOWS = (128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
"""Sides of staged regions: steps of a third to a half, so that budgets differ by no more."""


def fastest_pass(
    config: Swin2SRConfig, height: int, width: int, precision: str, unified: bool
) -> Whole:
    """*whole*, in the bands and pieces that are fastest when memory is no matter."""
    return Whole(
        config=config,
        height=height,
        width=width,
        precision=precision,
        band_windows=_band_windows(config, height, width, precision, unified),
        conv_side=_CONV_SIDE,
        head_side=_CPU_HEAD_SIDE if unified else _GPU_HEAD_SIDE,
        unified=unified,
    )


def fastest_like(plan: PassPlan) -> Whole:
    """The fastest way to run the same pass."""
    first = fastest_pass(plan.config, plan.height, plan.width, plan.computed_in, plan.unified)
    return replace(
        first,
        precision=plan.precision,
        resident=plan.resident,
        other_bytes=plan.other_bytes,
        int8_in_bf16=plan.int8_in_bf16,
        kernel_threads=plan.kernel_threads,
        exported=plan.exported,
        streamed=plan.streamed,
    )


def _band_windows(
    config: Swin2SRConfig, height: int, width: int, precision: str, unified: bool
) -> int:
    """What the caches of a CPU hold, or fills a GPU; no more than there are."""
    window = config.window
    window_bytes = WorkspaceSizes.of(config, 1, precision).total * ELEMENT_BYTES[precision]
    most = max(1, _CACHE_BYTES // window_bytes) if unified else _GPU_BAND_WINDOWS
    return min(most, round_up(height, window) * round_up(width, window) // window**2)


def pass_candidates(
    first: Whole, strategy: str = "auto", tiling: Tiling | None = None
) -> Iterator[PassPlan]:
    """Every way to run a pass; `first` has the sizes that are best when memory is no matter."""
    if first.exported:
        yield from _tiled(first, "tiled", tiling)
        return
    kinds = {
        "whole": lambda: iter((first,)),
        "staged": lambda: _staged(first),
        "tiled": lambda: _tiled(first, strategy, tiling),
    }
    for name, plans in kinds.items():
        if strategy in ("auto", name):
            for plan in plans():
                yield from _shrinking(plan)


def _staged(first: Whole) -> Iterator[Staged]:
    window = first.config.window
    longest = max(first.padded_height, first.padded_width)
    for windows in _REGION_WINDOWS:
        if windows * window < longest or windows == 1:
            yield Staged(**layout(first), region_side=windows * window)


def _tiled(first: Whole, strategy: str, tiling: Tiling | None) -> Iterator[Tiled]:
    window = first.config.window
    tiling = tiling or Tiling.on_grid(window)[0]
    least = tiling.overlap + 2 * window
    sides = _EXPORTED_SIDES if first.exported else _TILE_SIDES
    chosen = (_TILE if strategy == "tiled" else 0, *sides, least)
    for side in (tiling.side,) if tiling.side else chosen:
        if side >= least:
            yield Tiled(
                **layout(first),
                tile_side=round_up(side, window),
                overlap=tiling.overlap,
                blend=tiling.blend,
            )


def _shrinking(plan: PassPlan | None) -> Iterator[PassPlan]:
    while plan is not None:
        yield plan
        plan = plan.smaller()


def by_preference(candidates: Iterable[PassPlan]) -> list[PassPlan]:
    """The fastest first, the exact ones before the tiled ones."""
    return sorted(candidates, key=lambda each: (not each.exact, each.cost))


def fastest_that_fits(
    candidates: Iterable[PassPlan], budget: int | None, host_budget: int | None = None
) -> PassPlan | None:
    """The preferred one of those that the budgets cover (None: whatever they take)."""
    fitting = (each for each in by_preference(candidates) if fits(each, budget, host_budget))
    return next(fitting, None)


def fits(plan: PassPlan, budget: int | None, host_budget: int | None) -> bool:
    """Whether a pass takes no more. The host's memory has its own budget where it is another."""
    if budget is not None and plan.charged_bytes > budget:
        return False
    return host_budget is None or plan.unified or plan.host_bytes <= host_budget


def representatives(
    candidates: Iterable[PassPlan], taken: PassPlan, most: int = 4
) -> list[PassPlan]:
    """Those worth showing: per strategy at most `most` and the one that is taken.

    Left out is whatever another plan of the same strategy beats both in time and in memory.
    """
    shown: list[PassPlan] = []
    everything = by_preference(dict.fromkeys(candidates))
    for kind in dict.fromkeys(type(each) for each in everything):
        front: list[PassPlan] = []
        for each in (plan for plan in everything if isinstance(plan, kind)):
            if not front or each.charged_bytes < front[-1].charged_bytes:
                front.append(each)
        steps = max(1, min(most, len(front)) - 1)
        kept = {round(step * (len(front) - 1) / steps) for step in range(steps + 1)}
        shown += [p for index, p in enumerate(front) if index in kept or p == taken]
    return shown if taken in shown else by_preference([*shown, taken])
