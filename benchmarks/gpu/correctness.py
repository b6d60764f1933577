"""Every head, precision and strategy against fp32 on the CPU; and int8 products, to the bit."""

from __future__ import annotations

from dataclasses import replace

import torch

from swin2sr_core.engine.upscale import make_plan, upscale
from swin2sr_core.errors import Swin2SRError
from swin2sr_core.machine.devices import has_int8_products, resolve_precision
from swin2sr_core.models.model import Model
from swin2sr_core.planning.plan import Plan
from swin2sr_core.planning.strategies import Staged
from swin2sr_core.prepared.int8_products import Int8Matrix

from .card import Card
from .networks import HEADS, model_of, picture
from .report import Report

_AT_MOST = {"fp32": 1e-5, "bf16": 0.02, "fp16": 0.005, "int8": 0.03}
_SIZE = 90, 121
_CPU = torch.device("cpu")


def correctness(card: Card, report: Report, quick: bool) -> None:
    for head, config in list(HEADS.items())[: 2 if quick else None]:
        image = picture(config, *_SIZE)
        exact = model_of(config, "fp32", _CPU)
        for strategy in ("whole", "staged", "tiled"):
            wanted = upscale(exact, image, plan=_plan(exact, strategy)).image
            for precision, allowed in _AT_MOST.items():
                name = f"{head} {precision} {strategy}"
                try:
                    resolve_precision(precision, card.device)
                    model = model_of(config, precision, card.device)
                except Swin2SRError as error:
                    report.add("correct", name, refused=error)
                    continue
                for place in dict.fromkeys((_CPU, card.device)):
                    plan, given = _plan(model, strategy), image.to(place)
                    made, again = (upscale(model, given, plan=plan).image.cpu() for _ in range(2))
                    off = float((made - wanted).abs().max())
                    report.add(
                        "correct",
                        f"{name}, picture on {place.type}",
                        off <= allowed,
                        off=f"{off:.1e}",
                        same_twice=bool(torch.equal(made, again)),
                    )


def _plan(model: Model, strategy: str) -> Plan:
    """In several bands, pieces, regions or tiles."""
    tiles = {"tile": 64} if strategy == "tiled" else {}
    plan = make_plan(model, *_SIZE, model.scale, strategy=strategy, **tiles)
    side = 4 * model.config.window
    (each,) = plan.passes
    each = replace(each, band_windows=7, conv_side=side, head_side=side)
    if isinstance(each, Staged):
        each = replace(each, region_side=side)
    return replace(plan, passes=(each,))


def int8_products(card: Card, report: Report) -> None:
    """Some cards' products were wrong at some sizes, in some releases of their library."""
    if not has_int8_products(card.device):
        report.add("int8", "the device has no int8 products")
        return
    for rows in (49, 64, 4096, 65536):
        for inputs, outputs in ((180, 576), (192, 180), (180, 360), (360, 180), (60, 216)):
            weight = torch.randint(-127, 128, (outputs, inputs), dtype=torch.int8)
            levels = torch.randint(-127, 128, (rows, inputs)).float()
            matrix = Int8Matrix(weight, torch.ones(outputs)).to(card.device)
            made = matrix.product(levels.to(card.device), 0).cpu()
            wanted = levels @ weight.float().t()
            report.add("int8", f"{rows}x{inputs}x{outputs}", bool(torch.equal(made, wanted)))
