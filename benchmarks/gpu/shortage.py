"""Memory that ends: by a limit on torch's allocator, and by another process that takes the card."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import torch

from swin2sr_core.engine.upscale import make_plan, upscale
from swin2sr_core.errors import Swin2SRError
from swin2sr_core.machine.devices import resolve_precision
from swin2sr_core.models.model import Model
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.progress import Progress

from .card import Card
from .networks import CLASSICAL, model_of, picture
from .report import Report

_EXACT, _TILED = 0.02, 0.2
"""How far a picture may be off that was made in smaller steps: exact ones, and tiles."""

_TAKER = """
import sys, torch
free = torch.cuda.mem_get_info()[0]
kept = torch.empty(max(0, free - int(sys.argv[1])), dtype=torch.uint8, device="cuda")
print("taken", flush=True)
sys.stdin.read()
"""


def _taken(left: int) -> Callable[[], None]:
    """Start a process that takes all of the card but so many bytes; the result ends it."""
    other = subprocess.Popen(
        [sys.executable, "-c", _TAKER, str(left)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    other.stdout.readline()

    def end() -> None:
        other.kill()
        other.wait()

    return end


def limits(card: Card, report: Report, network: Swin2SRConfig = CLASSICAL, side: int = 512) -> None:
    """Real errors of the real allocator, at shares of what a run takes."""
    if not card.real:
        report.add("limit", "needs a card")
        return
    model, image = _model(card, network), picture(network, side, side)
    plan = make_plan(model, side, side)
    card.reset()
    before = card.allocated
    wanted = upscale(model, image, plan=plan).image
    peak = card.peak - before
    for share in (1.15, 0.7, 0.4, 0.2, 0.1):
        card.reset()
        limit = card.allocated + int(peak * share)
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit / card.total), card.device)
        try:
            _survives(report, "limit", f"{share:g} of the peak", model, image, wanted)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, card.device)


def neighbour(
    card: Card,
    report: Report,
    network: Swin2SRConfig = CLASSICAL,
    side: int = 1024,
    leaves: tuple[int, ...] = (600 << 20, 150 << 20),
    take: Callable[[int], Callable[[], None]] = _taken,
) -> None:
    """Another process takes all but a little in the middle of a run; `take` gives how it ends."""
    if not card.real:
        report.add("neighbour", "needs a card")
        return
    model, image = _model(card, network), picture(network, side, side)
    wanted = upscale(model, image).image
    for left in leaves:
        ends: list[Callable[[], None]] = []

        def grow(done: int, total: int, left: int = left, ends: list = ends) -> None:
            if not ends and done > 0.3 * total:
                card.wait()
                torch.cuda.empty_cache()
                ends.append(take(left))

        try:
            name = f"leaves {left >> 20} MiB"
            _survives(report, "neighbour", name, model, image, wanted, grow)
        finally:
            for end in ends:
                end()


def _model(card: Card, network: Swin2SRConfig) -> Model:
    return model_of(network, resolve_precision("auto", card.device), card.device)


def _survives(
    report: Report,
    section: str,
    name: str,
    model: Model,
    image: torch.Tensor,
    wanted: torch.Tensor,
    progress: Progress | None = None,
) -> None:
    """It makes the picture in smaller steps, or says in a sentence of ours that it can't."""
    try:
        result = upscale(model, image, progress=progress)
    except Swin2SRError as error:
        report.add(section, name, None, refused=error)
    except Exception as error:
        report.add(section, name, False, crashed=f"{type(error).__name__}: {str(error)[:160]}")
    else:
        off = float((result.image - wanted).abs().max())
        exact = result.report.next_plan.strategy != "tiled"
        report.add(
            section,
            name,
            off <= (_EXACT if exact else _TILED),
            off=f"{off:.1e}",
            steps=len(result.report.fallbacks),
            ended=result.report.next_plan.strategy,
        )
