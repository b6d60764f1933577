"""Pictures a second of `swin2sr batch` with one worker and with two, a thread each, in turns.

python benchmarks/batch_workers.py --pictures 60 --side 128 --rounds 3
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray", metavar="ADDRESS", help="two workers on this cluster, too")
    args = parser.parse_args()
    ways = {"one": ["--workers", "1"], "two": ["--workers", "2"]}
    if args.ray:
        ways["two on Ray"] = [*ways["two"], "--ray", args.ray]
    rates = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        draw(place / "in", args.pictures, args.side)
        for _ in range(args.rounds):
            for way, words in ways.items():
                rates[way].append(rate(place, words))
                shutil.rmtree(place / "out")
    first = statistics.median(rates["one"])
    for way, found in rates.items():
        median = statistics.median(found)
        each = [round(value, 2) for value in found]
        print(f"{way}: {median:.2f} pictures a second, {median / first:.3f} times one; {each}")


def draw(folder: Path, count: int, side: int) -> None:
    folder.mkdir()
    for number in range(count):
        generator = np.random.default_rng(number)
        pixels = generator.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
        Image.fromarray(pixels).resize((side, side)).save(folder / f"{number:04}.png")


def rate(place: Path, way: list[str]) -> float:
    """The batch's own clock: it starts when a worker has loaded its model."""
    words = ["batch", place / "in", "-o", place / "out", *way, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "swin2sr_core", *map(str, words), "--device", "cpu"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    document = json.loads(done.stdout)
    return document["made"] / document["seconds"]


if __name__ == "__main__":
    main()
