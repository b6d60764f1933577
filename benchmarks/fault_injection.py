"""Every allocation of a run fails, one at a time: what came out, and was everything given back?

    python benchmarks/fault_injection.py [--side 24]

Three strategies, a tiny network. "exact" means within 1e-5 of the undisturbed picture; where tiles
were given up for others, the picture is another one.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch

import swin2sr_core as s2
from swin2sr_core.engine import ladder
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.models.model import build_model
from swin2sr_core.network.network import Swin2SR

sys.path.append(str(Path(__file__).parent.parent / "tests" / "support"))
from faults import FailingAllocator

CONFIG = s2.Swin2SRConfig(3, 12, (1, 2), (2, 3), 8, 24, 2, "pixelshuffledirect", "1conv", 1.0)
SIZES = {
    "whole": {},
    "staged": {"region_side": 16},
    "tiled": {"tile_side": 24, "overlap": 8},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=24)
    side = parser.parse_args().side
    logging.disable(logging.WARNING)
    ladder._PAUSE_SECONDS = 0
    torch.manual_seed(0)
    state = Swin2SR(CONFIG).state_dict()
    model = build_model("tiny", CONFIG, state, "fp32", torch.device("cpu"))
    image = torch.rand(1, 3, side, side + 16)
    print("strategy   allocations   exact picture   other tiles   errors   bytes left behind")
    for strategy, sizes in SIZES.items():
        plan = s2.make_plan(model, side, side + 16, 2, strategy=strategy)
        sizes = {"band_windows": 3, "conv_side": 16, "head_side": 16, **sizes}
        plan = replace(plan, passes=tuple(replace(step, **sizes) for step in plan.passes))
        with FailingAllocator() as counting:
            expected = s2.upscale(model, image, plan=plan).image
        outcomes, left = Counter(), 0
        for number in range(1, counting.count + 1):
            with PeakMeter() as meter:
                found = attempt(model, image, plan, number)
                outcome = "error" if found is None else kind_of(found, expected)
                del found
            outcomes[outcome] += 1
            left += meter.live
        columns = (outcomes[name] for name in ("exact", "tiles", "error"))
        print(
            f"{strategy:<10}{counting.count:>12}"
            + "".join(f"{n:>{w}}" for n, w in zip(columns, (16, 14, 9), strict=True))
            + f"{left:>20}"
        )


def attempt(
    model: s2.Model, image: torch.Tensor, plan: s2.Plan, number: int
) -> torch.Tensor | None:
    """The picture, though allocation `number` fails; None where there was an error."""
    try:
        with FailingAllocator(number):
            return s2.upscale(model, image, plan=plan).image
    except s2.Swin2SRError:
        return None


def kind_of(found: torch.Tensor, expected: torch.Tensor) -> str:
    return "exact" if float((found - expected).abs().max()) <= 1e-5 else "tiles"


if __name__ == "__main__":
    main()
