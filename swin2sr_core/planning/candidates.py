"""The ways to run a pass that the planner considers, and which of them it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..network.config import Swin2SRConfig
from ..network.window_grid import round_up
from .forecast import ELEMENT_BYTES
from .pass_plan import PassPlan
from .workspace import WorkspaceSizes

_CACHE_BYTES = 12 << 20
"""Of a band's temporaries on a CPU: they stay in L3, and starting the operations hardly counts."""

_GPU_BAND_WINDOWS = 1024
_CONV_SIDE = 128
_CPU_STRIP_SIDE, _GPU_STRIP_SIDE = 64, 128
_TILE = 384
_TILE_SIDES = (768, 512, 384, 256, 192, 128, 96)
_REGION_WINDOWS = (128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)


def fastest_pass(
    config: Swin2SRConfig, height: int, width: int, precision: str, unified: bool
) -> PassPlan:
    """*whole*, in the bands and pieces that are fastest when memory is no matter."""
    return PassPlan(
        config=config,
        height=height,
        width=width,
        precision=precision,
        strategy="whole",
        band_windows=_band_windows(config, height, width, precision, unified),
        conv_side=_CONV_SIDE,
        strip_side=_CPU_STRIP_SIDE if unified else _GPU_STRIP_SIDE,
        region_side=0,
        unified=unified,
    )


def fastest_pass_like(plan: PassPlan) -> PassPlan:
    """The fastest way to run the same pass, its tiles still to be chosen."""
    first = fastest_pass(plan.config, plan.height, plan.width, plan.precision, plan.unified)
    return replace(
        first,
        other_bytes=plan.other_bytes,
        overlap=plan.overlap,
        blend=plan.blend,
        narrow_head=plan.narrow_head,
    )


def _band_windows(
    config: Swin2SRConfig, height: int, width: int, precision: str, unified: bool
) -> int:
    """What the caches of a CPU hold, or fills a GPU; no more than there are."""
    window = config.window
    window_bytes = WorkspaceSizes.of(config, 1, precision).total * ELEMENT_BYTES[precision]
    most = max(1, _CACHE_BYTES // window_bytes) if unified else _GPU_BAND_WINDOWS
    return min(most, round_up(height, window) * round_up(width, window) // window**2)


def pass_candidates(first: PassPlan, strategy: str = "auto") -> Iterator[PassPlan]:
    """Every way to run a pass; `first` has the sizes that are best when memory is no matter."""
    if strategy in ("auto", "whole"):
        yield from _shrinking(first)
    if strategy in ("auto", "staged"):
        window = first.config.window
        longest = max(first.padded_height, first.padded_width)
        for windows in _REGION_WINDOWS:
            side = windows * window
            if side < longest or windows == 1:
                yield from _shrinking(replace(first, strategy="staged", region_side=side))
    if strategy in ("auto", "tiled"):
        least = first.overlap + 2 * first.config.window
        chosen = (_TILE if strategy == "tiled" else 0, *_TILE_SIDES, least)
        for side in (first.tile_side,) if first.tile_side else chosen:
            if side >= least:
                side = round_up(side, first.config.window)
                yield from _shrinking(replace(first, strategy="tiled", tile_side=side))


def _shrinking(plan: PassPlan | None) -> Iterator[PassPlan]:
    while plan is not None:
        yield plan
        plan = plan.smaller()


def by_preference(candidates: Iterable[PassPlan]) -> list[PassPlan]:
    """The fastest first, the exact ones before the tiled ones."""
    return sorted(candidates, key=lambda each: (each.strategy == "tiled", each.cost))


def fastest_that_fits(candidates: Iterable[PassPlan], budget: int | None) -> PassPlan | None:
    """The preferred one of those that a budget covers (None: whatever they take)."""
    ordered = by_preference(candidates)
    fitting = (each for each in ordered if budget is None or each.charged_bytes <= budget)
    return next(fitting, None)


def representatives(
    candidates: Iterable[PassPlan], taken: PassPlan, most: int = 4
) -> list[PassPlan]:
    """Those worth showing: per strategy at most `most` and the one that is taken.

    Left out is whatever another plan of the same strategy beats both in time and in memory.
    """
    shown: list[PassPlan] = []
    everything = by_preference(dict.fromkeys(candidates))
    for strategy in dict.fromkeys(each.strategy for each in everything):
        front: list[PassPlan] = []
        for each in (plan for plan in everything if plan.strategy == strategy):
            if not front or each.charged_bytes < front[-1].charged_bytes:
                front.append(each)
        steps = max(1, min(most, len(front)) - 1)
        kept = {round(step * (len(front) - 1) / steps) for step in range(steps + 1)}
        shown += [p for index, p in enumerate(front) if index in kept or p == taken]
    return shown if taken in shown else by_preference([*shown, taken])
