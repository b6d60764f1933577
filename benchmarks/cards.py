"""What the planner forecasts for graphics cards: the largest pictures, as a Markdown table.

    python benchmarks/cards.py

Forecasts, not measurements: no card is asked. A gigabyte of each card is taken to be in use, and
16 GB of the computer's own memory to be free.
"""

from __future__ import annotations

from pathlib import Path

from swin2sr_core.errors import BudgetError
from swin2sr_core.models.catalog import find_entry, locate
from swin2sr_core.models.header import published_config, read_config
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.planning.budget import Room
from swin2sr_core.planning.picture_plan import PictureSettings, Prospect, plan_picture
from swin2sr_core.units import format_bytes

CARDS = (
    (4, "fp16", "GTX 1650, T600"),
    (6, "fp16", "RTX 2060"),
    (6, "fp32", "GTX 1060"),
    (8, "bf16", "RTX 3060 Ti, 3070, 4060"),
    (12, "bf16", "RTX 3060, 4070"),
    (16, "fp16", "T4, V100"),
    (16, "bf16", "RTX 4060 Ti 16 GB, 4080, A4000"),
    (24, "bf16", "RTX 3090, 4090, A10, L4"),
    (48, "bf16", "A6000, L40S"),
    (80, "bf16", "A100, H100"),
)
"""Gigabytes, what `--precision auto` is there, and cards of that kind."""

CLASSICAL = published_config(find_entry("classical-x4"))
GIGABYTE = 1 << 30
IN_USE, HOST = GIGABYTE, 16 * GIGABYTE
STEP, MOST = 64, 16384


def main() -> None:
    compact = read_config(Path(str(locate(find_entry("compact-x4")))))
    print("| card | auto | compact-x4, whole | classical-x4, whole | classical-x4, staged |")
    print("|---|---|---|---|---|")
    for gigabytes, precision, cards in CARDS:
        cells = [
            side(config, precision, gigabytes, strategy)
            for config, strategy in (
                (compact, "whole"),
                (CLASSICAL, "whole"),
                (CLASSICAL, "staged"),
            )
        ]
        print(f"| {gigabytes} GB ({cards}) | {precision} | {' | '.join(cells)} |")
    print()
    for name, config in (("compact-x4", compact), ("classical-x4", CLASSICAL)):
        for precision in ("fp16", "bf16", "fp32"):
            taken = ", ".join(f"{n}x{n} {needed(config, precision, n)}" for n in (512, 1024, 2048))
            print(f"{name}, {precision}, whole: {taken}")


def side(config: Swin2SRConfig, precision: str, gigabytes: int, strategy: str) -> str:
    """The largest square picture that fits, in pixels a side, by halving."""
    room = Room(gigabytes * GIGABYTE - IN_USE, host=HOST, where="cuda")
    low, high = 0, MOST // STEP
    while low < high:
        middle = (low + high + 1) // 2
        if fits(config, precision, middle * STEP, strategy, room):
            low = middle
        else:
            high = middle - 1
    return f"{low * STEP}x{low * STEP}" + (" or more" if low * STEP == MOST else "")


def fits(config: Swin2SRConfig, precision: str, size: int, strategy: str, room: Room) -> bool:
    settings = PictureSettings(strategy=strategy)
    prospect = Prospect(config, precision, "cuda", precision == "bf16")
    try:
        plan = plan_picture(prospect, size, size, settings, room).plan
    except BudgetError:
        return False
    return plan.budget_bytes is not None  # without: the smallest plan, though it does not fit


def needed(config: Swin2SRConfig, precision: str, size: int) -> str:
    prospect = Prospect(config, precision, "cuda", precision == "bf16")
    settings = PictureSettings(strategy="whole")
    plan = plan_picture(prospect, size, size, settings, Room(None, where="cuda")).plan
    return format_bytes(plan.fullest.forecast_bytes)


if __name__ == "__main__":
    main()
