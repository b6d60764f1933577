"""What happens at three times the capacity: what is made, what is refused, and how truly.

    python benchmarks/serve/overload.py [--seconds 60] [--times 3] [--max-wait 5] [--threads 1]

Requests come at fixed times whatever becomes of the earlier ones. goodput: pictures in a second by
those of two clients in a closed loop just before. refused: how fast, and Retry-After by when the
queue would really have had a place: when as many pictures had ended as had to.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass

from measuring import Answer, Client, encoded, picture, serving
from overhead import loop

_FAST = 0.1


@dataclass(frozen=True)
class Asked:
    """When, from the start, and what came of it."""

    at: float
    answer: Answer

    @property
    def ended(self) -> float:
        return self.at + self.answer.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times", type=float, default=3)
    parser.add_argument("--max-wait", type=float, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", type=int, default=192)
    arguments = parser.parse_args()
    body = encoded(picture(arguments.side, arguments.side))
    environment = {"OMP_NUM_THREADS": str(arguments.threads)} if arguments.threads else {}
    options = ("--max-wait", arguments.max_wait, "--max-queue", 1000)
    with (
        tempfile.TemporaryDirectory() as spool,
        serving(spool, *options, environment=environment) as server,
    ):
        loop(server, body, 1, 3)
        begun = time.perf_counter()
        capacity = len(loop(server, body, 2, 15)) / (time.perf_counter() - begun)
        asked = flood(server.address, body, capacity * arguments.times, arguments.seconds)
    tell(asked, capacity, arguments.seconds, arguments.max_wait)


def flood(address: str, body: bytes, rate: float, seconds: float) -> list[Asked]:
    """One request after the other at `rate`, each in a thread of its own."""
    asked: list[Asked] = []
    begun = time.perf_counter()

    def ask(at: float) -> None:
        client = Client(address)
        asked.append(Asked(at, client.upscale(body)))
        client.close()

    threads = []
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        threads.append(threading.Thread(target=ask, args=(time.perf_counter() - begun,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return asked


def tell(asked: list[Asked], capacity: float, seconds: float, max_wait: float) -> None:
    made = [each for each in asked if each.answer.status == 200]
    refused = [each for each in asked if each.answer.status == 503]
    print(f"{len(asked)} asked, {len(made)} made, {len(refused)} refused")
    print(f"capacity {capacity:.2f} a second")
    in_time = [each for each in made if each.ended <= seconds]
    print(f"goodput {len(in_time) / seconds / capacity:.3f} of it")
    speeds = sorted(each.answer.seconds for each in refused)
    median, p99 = statistics.median(speeds), speeds[int(len(speeds) * 0.99)]
    share = sum(each < _FAST for each in speeds) / len(speeds)
    print(
        f"refused in {median * 1000:.0f} ms (median), {p99 * 1000:.0f} ms (p99); "
        f"{share:.1%} below {_FAST * 1000:.0f} ms"
    )
    waits = sorted(each.answer.seconds for each in made)
    service = 1 / capacity
    print(
        f"made in {waits[int(len(waits) * 0.99)]:.2f} s (p99); the limit is "
        f"{max_wait + 1.2 * service:.2f} s with the wait"
    )
    near = [ratio for each in refused if (ratio := _told_by_true(each, made, max_wait))]
    within = sum(0.5 <= ratio <= 2 for ratio in near) / max(1, len(near))
    print(f"Retry-After within a factor of 2 of the truth: {within:.1%} of {len(near)}")


def _told_by_true(refused: Asked, made: list[Asked], max_wait: float) -> float | None:
    """Retry-After by the seconds until the queue had fallen below its limit, at least one each.

    What waits then was admitted before and ends after; its last one ends at most `max_wait` later
    once a new one would be taken.
    """
    told = float(refused.answer.headers["retry-after"])
    before = [each.ended for each in made if each.at < refused.at]
    if not before:
        return None
    true = max(before) - refused.at - max_wait
    return told / max(1.0, true)


if __name__ == "__main__":
    main()
