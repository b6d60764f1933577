"""Pictures a second of `swin2sr batch` with one worker and with two, a thread each, in turns.

python benchmarks/batch_workers.py --pictures 120 --side 128 --rounds 3 [--ray ADDRESS]

By the difference of two batches, one of which has so many pictures more: both begin while workers
still load. The last row is what two processes can be here: the network alone, without files.
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

_FEW = 20
_NETWORK_SECONDS = 3
_NETWORK = """
import sys, time, torch
from swin2sr_core.engine.upscale import upscale
from swin2sr_core.models.model import load_model
side, seconds = int(sys.argv[1]), float(sys.argv[2])
model, picture = load_model("compact-x4", "auto", "cpu"), torch.rand(1, 3, side, side)
end, count = time.perf_counter() + 2, 0
while time.perf_counter() < end:  # both are at work before either is counted
    upscale(model, picture)
begun = time.perf_counter()
while time.perf_counter() < begun + seconds:
    upscale(model, picture)
    count += 1
print(count / (time.perf_counter() - begun))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=120)
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
        draw(place / "few", _FEW, args.side)
        draw(place / "many", _FEW + args.pictures, args.side)
        for _ in range(args.rounds):
            for way, words in ways.items():
                spent = seconds(place, "many", words) - seconds(place, "few", words)
                rates[way].append(args.pictures / spent)
    first = statistics.median(rates["one"])
    for way, found in rates.items():
        median = statistics.median(found)
        each = [round(value, 2) for value in found]
        print(f"{way}: {median:.2f} pictures a second, {median / first:.3f} times one; {each}")
    for way, found in zip(("one", "two"), networks(args.side, args.rounds), strict=True):
        print(f"the network alone, {way}: {found:.2f} a second")


def draw(folder: Path, count: int, side: int) -> None:
    folder.mkdir()
    for number in range(count):
        generator = np.random.default_rng(number)
        pixels = generator.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
        Image.fromarray(pixels).resize((side, side)).save(folder / f"{number:04}.png")


def seconds(place: Path, name: str, way: list[str]) -> float:
    """The batch's own clock: it starts when a worker has loaded its model."""
    words = ["batch", place / name, "-o", place / "out", *way, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "swin2sr_core", *map(str, words), "--device", "cpu"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    shutil.rmtree(place / "out")
    return json.loads(done.stdout)["seconds"]


def networks(side: int, rounds: int) -> list[float]:
    """Pictures a second of one process, and of two at once, that do nothing else."""
    found = []
    for count in (1, 2):
        words = [sys.executable, "-c", _NETWORK, str(side), str(_NETWORK_SECONDS * rounds)]
        each = {"env": {**os.environ, "OMP_NUM_THREADS": "1"}, "stdout": subprocess.PIPE}
        started = [subprocess.Popen(words, text=True, **each) for _ in range(count)]
        found.append(sum(float(process.communicate()[0]) for process in started))
    return found


if __name__ == "__main__":
    main()
