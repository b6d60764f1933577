"""Seconds for one picture beside other programs, by how threads wait for each other.

    python benchmarks/busy.py [--sizes 160x120 512x512] [--loads 0 1 2] [--rounds 3] [--limit 60]

Every run is a process of its own; the ways take turns. A load is a program that only counts. Above
`--limit` seconds a run is ended and told as such.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

WAYS = {
    "spinning": {"GOMP_SPINCOUNT": "300000"},  # libgomp's default
    "1000 turns": {"GOMP_SPINCOUNT": "1000"},
    "asleep": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=["160x120", "512x512"])
    parser.add_argument("--loads", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60)
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    parser.add_argument("--precision", default="fp32")
    arguments = parser.parse_args()
    print(f"{'picture':<10}{'load':>5}" + "".join(f"{way:>14}" for way in arguments.ways))
    with tempfile.TemporaryDirectory() as name:
        for size in arguments.sizes:
            for load in arguments.loads:
                row(arguments, Path(name), size, load)


def row(arguments: argparse.Namespace, folder: Path, size: str, load: int) -> None:
    width, height = map(int, size.split("x"))
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    source = folder / f"{size}.png"
    Image.fromarray(noise).save(source)
    times: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        for _ in range(load):
            other = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while 1: pass"]))
            stack.callback(other.kill)
        for _ in range(arguments.rounds):
            for way in arguments.ways:
                times[way].append(seconds(arguments, source, way))
    cells = [statistics.median(times[way]) for way in arguments.ways]
    text = (f"{cell:.2f}" if cell < arguments.limit else "over" for cell in cells)
    print(f"{size:<10}{load:>5}" + "".join(f"{cell:>14}" for cell in text), flush=True)


def seconds(arguments: argparse.Namespace, source: Path, way: str) -> float:
    """In the network: what the report of the run says."""
    environment = {**os.environ, **WAYS[way]}
    command = [sys.executable, "-m", "swin2sr_core", "upscale", source, "--overwrite", "--json"]
    options = ["--device", "cpu", "--precision", arguments.precision]
    started = time.perf_counter()
    try:
        done = subprocess.run(
            list(map(str, [*command, *options, "-o", source.with_suffix(".out.png")])),
            env=environment,
            capture_output=True,
            check=True,
            timeout=arguments.limit + 5,
        )
    except subprocess.TimeoutExpired:
        return time.perf_counter() - started
    return json.loads(done.stdout)["inference_time_ms"] / 1000


if __name__ == "__main__":
    main()
