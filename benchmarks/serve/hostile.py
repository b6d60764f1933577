"""A thousand hostile uploads to one server: what each class got, the slowest answer, and memory.

    python benchmarks/serve/hostile.py [--each 18] [--rounds 1]

Memory is that of each process after every quarter of a round. It ends with 1 where an answer was no
4xx (a picture only where the damage may have left one), took over 3 s, memory grew by over 5 %
after the first quarter, or a good picture then was not upscaled.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from measuring import Server, encoded, hostile_uploads, noise, serving, totals

MOST_SECONDS, MOST_GROWTH = 3.0, 1.05


def memory(server: Server) -> dict[str, int]:
    """Resident bytes of each process of the server, by its module."""
    found: Counter[str] = Counter()
    for name, (_, resident) in totals(server.process.pid).items():
        found[name.split()[1]] += resident
    return dict(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--each", type=int, default=18, help="how many of each random kind")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    uploads = []
    for seed in range(1, args.rounds + 1):
        more = list(hostile_uploads(seed=seed, each=args.each))
        random.Random(seed).shuffle(more)  # so that a quarter has some of each
        uploads += more
    quarter = len(uploads) // (4 * args.rounds)
    codes, seconds, wrong = defaultdict(Counter), [], []
    good = {"image": encoded(noise(24, 16))}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "spool") as server:
        sizes = []
        for number, each in enumerate(uploads, 1):
            begun = time.monotonic()
            answer = server.client.post("/upscale", **each.request)
            seconds.append((time.monotonic() - begun, each.kind))
            codes[each.kind][answer.status_code] += 1
            passed = answer.status_code == 200 and each.may_pass
            if not (passed or 400 <= answer.status_code < 500):
                wrong.append((each.kind, answer.status_code, answer.text[:200]))
            if number % quarter == 0:
                sizes.append(memory(server))
                told = ", ".join(f"{n} {size / 2**20:.1f}" for n, size in sizes[-1].items())
                print(f"after {number:6}: {sum(sizes[-1].values()) / 2**20:.1f} MiB ({told})")
        after = server.client.post("/upscale", files=good).status_code
    for kind, counts in sorted(codes.items()):
        print(f"{kind:34}", ", ".join(f"{n} x {code}" for code, n in sorted(counts.items())))
    slowest = max(seconds)
    print(f"{len(uploads)} uploads, median {statistics.median(each for each, _ in seconds):.3f} s")
    print(f"slowest {slowest[0]:.2f} s ({slowest[1]}); the next picture: {after}")
    early, late = (sum(sizes[at].values()) for at in (0, -1))
    print(f"memory at the end by that after a quarter: {late / early:.3f}")
    for each in wrong:
        print("WRONG", *each)
    bad = wrong or slowest[0] > MOST_SECONDS or late > early * MOST_GROWTH or after != 200
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
