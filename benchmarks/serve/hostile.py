"""A thousand hostile uploads to one server: what each class got, the slowest answer, and memory.

    python benchmarks/serve/hostile.py [--each 18]

It ends with 1 where an answer was no 4xx (a picture only where the damage may have left one), took
over 3 s, memory grew by over 5 % after the first tenth, or a good picture then was not upscaled.
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

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from hostile_uploads import hostile_uploads  # noqa: E402
from http_service import Server, encoded, noise, serving  # noqa: E402

MOST_SECONDS, MOST_GROWTH = 3.0, 1.05


def memory(server: Server) -> int:
    """Resident bytes of the server and its processes."""
    total = 0
    for pid in (server.process.pid, *server.children()):
        status = Path(f"/proc/{pid}/status").read_text()
        total += int(status.partition("VmRSS:")[2].split()[0]) * 1024
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--each", type=int, default=18, help="how many of each random kind")
    args = parser.parse_args()
    uploads = list(hostile_uploads(seed=1, each=args.each))
    random.Random(1).shuffle(uploads)  # so that a tenth has some of each
    codes, seconds, wrong = defaultdict(Counter), [], []
    good = {"image": encoded(noise(24, 16))}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "spool") as server:
        early, peak = 0, 0
        for number, each in enumerate(uploads):
            begun = time.monotonic()
            answer = server.client.post("/upscale", **each.request)
            seconds.append((time.monotonic() - begun, each.kind))
            codes[each.kind][answer.status_code] += 1
            passed = answer.status_code == 200 and each.may_pass
            if not (passed or 400 <= answer.status_code < 500):
                wrong.append((each.kind, answer.status_code, answer.text[:200]))
            if number % 20 == 0:
                peak = max(peak, memory(server))
            if number == len(uploads) // 10:
                early = peak
        late = memory(server)
        after = server.client.post("/upscale", files=good).status_code
    for kind, counts in sorted(codes.items()):
        print(f"{kind:34}", ", ".join(f"{n} x {code}" for code, n in sorted(counts.items())))
    slowest = max(seconds)
    print(f"{len(uploads)} uploads, median {statistics.median(each for each, _ in seconds):.3f} s")
    print(f"slowest {slowest[0]:.2f} s ({slowest[1]}); the next picture: {after}")
    print(f"memory after a tenth {early / 2**20:.0f} MiB, at the end {late / 2**20:.0f}", end=", ")
    print(f"most {peak / 2**20:.0f}")
    for each in wrong:
        print("WRONG", *each)
    bad = wrong or slowest[0] > MOST_SECONDS or late > early * MOST_GROWTH or after != 200
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
