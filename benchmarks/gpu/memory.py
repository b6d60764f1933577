"""Peaks of the classical network beside their forecasts."""

from __future__ import annotations

from swin2sr_core.engine.upscale import make_plan, upscale
from swin2sr_core.errors import Swin2SRError

from .card import Card
from .networks import CLASSICAL, model_of, picture
from .report import Report

_OFF = 0.1
_LARGEST = 2 << 30
"""Of 1024x1024."""


def memory(card: Card, report: Report, sides: tuple[int, ...]) -> None:
    for precision in ("fp32", "bf16", "fp16"):
        try:
            model = model_of(CLASSICAL, precision, card.device)
        except Swin2SRError as error:
            report.add("memory", precision, refused=error)
            continue
        for side in sides:
            for strategy in ("whole", "staged"):
                for place in ("cpu", card.device.type):
                    plan = make_plan(model, side, side, strategy=strategy, resident=place != "cpu")
                    image = picture(CLASSICAL, side, side).to(place)
                    upscale(model, image, plan=plan)  # libraries take their own at the first run
                    card.reset()
                    before = card.allocated
                    upscale(model, image, plan=plan)
                    peak = card.peak - before
                    within = abs(peak / plan.forecast_bytes - 1) <= _OFF
                    small = side > 1024 or peak <= _LARGEST
                    report.add(
                        "memory",
                        f"{precision} {side}x{side} {strategy}, picture on {place}",
                        within and small if card.real else None,
                        peak_mib=peak >> 20,
                        forecast_mib=plan.forecast_bytes >> 20,
                        reserved_mib=card.reserved >> 20,
                        host_mib=plan.host_bytes >> 20,
                    )
                    if not card.real:
                        break
