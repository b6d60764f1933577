"""Does everything hold on this graphics card that was promised without one? About ten minutes.

    python benchmarks/gpu_acceptance.py [--device cuda] [--quick] [--only SECTION ...] [--json FILE]

Prints a table in Markdown, fit to be pasted into an issue, and ends with 1 if a check has failed.
With `--device cpu` it runs all that needs no card. spandrel is measured where it is installed
(`pip install swin2sr[bench]`).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from gpu import correctness, memory, shortage, speed
from gpu.card import Card
from gpu.report import Report

from swin2sr_core import __version__
from swin2sr_core.errors import Swin2SRError
from swin2sr_core.machine.devices import resolve_device, resolve_precision
from swin2sr_core.units import format_bytes


def surroundings(card: Card, report: Report) -> None:
    """What everything else depends on."""
    report.add("about", "swin2sr", version=__version__, auto=resolve_precision("auto", card.device))
    report.add("about", "system", os=platform.platform(), python=platform.python_version())
    report.add(
        "about",
        "torch",
        version=torch.__version__,
        cuda=torch.version.cuda,
        hip=torch.version.hip,
        cudnn=torch.backends.cudnn.version(),
    )
    if card.real:
        facts = torch.cuda.get_device_properties(card.device)
        report.add(
            "about",
            facts.name,
            capability=f"{facts.major}.{facts.minor}",
            memory=format_bytes(card.total),
            free=format_bytes(torch.cuda.mem_get_info(card.device)[0]),
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="two heads, and 512x512 alone")
    parser.add_argument("--only", nargs="+", metavar="SECTION")
    parser.add_argument("--sides", type=int, nargs="+", help="of the pictures that are timed")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    try:
        card = Card(resolve_device(args.device))
    except Swin2SRError as error:
        print(error, file=sys.stderr)
        return 2
    report = Report()
    sides = tuple(args.sides or ((512,) if args.quick else (512, 1024)))
    sections: dict[str, Callable[[], None]] = {
        "about": lambda: surroundings(card, report),
        "correct": lambda: correctness.correctness(card, report, args.quick),
        "int8": lambda: correctness.int8_products(card, report),
        "memory": lambda: memory.memory(card, report, sides),
        "speed": lambda: speed.speed(card, report, sides),
        "limit": lambda: shortage.limits(card, report),
        "neighbour": lambda: shortage.neighbour(card, report),
    }
    if strange := set(args.only or ()) - set(sections):
        parser.error(f"--only has {', '.join(sorted(strange))}; known: {', '.join(sections)}")
    started = time.perf_counter()
    report.begin()
    for name, run in sections.items():
        if args.only is None or name in args.only:
            _attempt(name, run, report)
    report.add("about", "the whole run", seconds=f"{time.perf_counter() - started:.0f}")
    if args.json:
        args.json.write_text(json.dumps(report.to_list(), default=str, indent=1), encoding="utf-8")
    print(f"\n{report.failed} failed of {report.checked} checks")
    return int(report.failed > 0)


def _attempt(name: str, run: Callable[[], None], report: Report) -> None:
    """One section; what stops it is a row, and the next one runs."""
    try:
        run()
    except Exception as error:
        report.add(name, "ended early", False, error=f"{type(error).__name__}: {str(error)[:300]}")


if __name__ == "__main__":
    sys.exit(main())
