"""Seconds and memory of every model of the catalog on this machine, as a Markdown table.

    python benchmarks/models.py [--size 256] [--repeat 3]

Official models have their published networks with random weights, which take as long; an x2 model
is applied twice for x4. All take turns; medians.
"""

from __future__ import annotations

import argparse

import torch

from swin2sr_core.engine.upscale import make_plan, upscale
from swin2sr_core.machine.devices import resolve_device, resolve_precision
from swin2sr_core.models.catalog import CATALOG, CatalogEntry
from swin2sr_core.models.header import published_config
from swin2sr_core.models.model import Model, build_model, load_model
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.units import format_bytes
from swin2sr_headless.benchmarking.cases import Timing, run_turns

SCALE = 4.0


def loaded(entry: CatalogEntry, precision: str, device: torch.device) -> Model:
    if entry.bundled:
        return load_model(entry.name, precision, device)
    torch.manual_seed(0)
    config = published_config(entry)
    return build_model(entry.name, config, Swin2SR(config).state_dict(), precision, device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    device = resolve_device()
    precision = resolve_precision("auto", device)
    entries = [entry for entry in CATALOG if entry.kind == "upscaler"]
    models = [loaded(entry, precision, device) for entry in entries]
    image = torch.rand(1, 3, args.size, args.size).to(device)
    turns = []
    for model in models:
        action = lambda model=model: upscale(model, image, SCALE)  # noqa: E731
        action()
        turns.append((Timing(), device, action))
    run_turns(turns, args.repeat, lambda done, total: None)
    threads = torch.get_num_threads()
    print(f"{args.size}x{args.size} to x4, {precision} on {device}, {threads} threads")
    print("| model | licence | seconds | range | memory |\n|---|---|---|---|---|")
    for entry, model, (timing, *_) in zip(entries, models, turns, strict=True):
        plan = make_plan(model, args.size, args.size, SCALE)
        span = f"{min(timing.rounds):.2f}-{max(timing.rounds):.2f}"
        memory = format_bytes(plan.fullest.forecast_bytes)
        print(f"| {entry.name} | {entry.licence} | {timing.median:.2f} | {span} | {memory} |")


if __name__ == "__main__":
    main()
