"""Does the service keep to its memory, and is what it forecasts what it takes?

    python benchmarks/serve/memory.py [--limit 1GB] [--seconds 120] [--small 500] [--largest 1000]

In a control group (version 1) with that limit, where the system lets us make one, else by the sum
of what is resident. Pictures of many sizes and kinds are sent by two clients for that long; those
of 4000 px take half an hour on two cores, hence --largest. Then small pictures: what all processes
have after 50 and after `--small` of them. At last measured by forecast: the most that a fresh
worker has had for a picture, its model not counted, by what /plan says (`bytes`), where that is
over 64 MB: libraries keep what less takes, and a worker that has made others has it already.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measuring import Client, Server, control_group, encoded, picture, serving, totals
from PIL import Image

from swin2sr_headless.cli.arguments import parse_bytes

_SHOWN_BYTES = 64 << 20
_EVERYONE = Path("/sys/fs/cgroup/memory/cgroup.procs")
_SIDES = (16, 50, 128, 256, 400, 700, 1000, 2000, 4000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=parse_bytes, default=1 << 30)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--small", type=int, default=500)
    parser.add_argument("--largest", type=int, default=1000)
    arguments = parser.parse_args()
    group = control_group(arguments.limit)
    print("limited by", f"a control group: {group}" if group else "nothing but itself")
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    with (
        tempfile.TemporaryDirectory() as spool,
        serving(spool, "--max-memory", arguments.limit, "--max-wait", 600) as server,
    ):
        if group is not None:  # the server stays there alone
            _EVERYONE.write_text(str(os.getpid()))
        mixed(server, arguments)
        small(server, arguments.small)
        forecasts(server, arguments.largest)
    if group is not None:
        failures, most = group / "memory.failcnt", group / "memory.max_usage_in_bytes"
        print(f"most in the group, caches of files counted: {int(most.read_text()) >> 20} MB")
        print("at its limit", failures.read_text().strip(), "times")
        group.rmdir()


def kinds(largest: int) -> Iterator[bytes]:
    """Pictures of all sizes and kinds, over and over."""
    sides = [side for side in _SIDES if side <= largest]
    for number, side in enumerate(itertools.cycle(sides)):
        kind = number % 5
        small = min(side, 128)
        if kind == 1:
            yield encoded(picture(side, side, number, 4))
        elif kind == 2:
            deep = np.asarray(picture(side, side, number, 1), np.uint16) * 257
            yield encoded(Image.fromarray(deep))
        elif kind == 3:
            frames = [picture(small, small, number + k) for k in range(4)]
            yield encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        else:
            yield encoded(picture(side, side * 3 // 4 + 1, number), "JPEG" if kind == 4 else "PNG")


def mixed(server: Server, arguments: argparse.Namespace) -> None:
    pictures, lock = kinds(arguments.largest), threading.Lock()
    statuses: Counter[int] = Counter()
    end = time.perf_counter() + arguments.seconds
    peak = 0

    def ask() -> None:
        client = Client(server.address, 600)
        while time.perf_counter() < end:
            with lock:
                body = next(pictures)
            kind = Image.open(io.BytesIO(body)).get_format_mimetype() or "image/png"
            answer = client.upscale(body, kind=kind)
            statuses[answer.status] += 1

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, sum(size for _, size in totals(server.process.pid).values()))
        time.sleep(0.2)
    print("answers by status:", dict(statuses))
    print(f"most resident: {peak >> 20} MB of {arguments.limit >> 20} MB")


def forecasts(server: Server, largest: int) -> None:
    """Each kind of the larger sides, with a worker of its own."""
    ratios: list[float] = []
    for body in itertools.islice(kinds(largest), 2 * len(_SIDES)):
        image = Image.open(io.BytesIO(body))
        kind = image.get_format_mimetype() or "image/png"
        plan = server.client.post("/plan", content=body, headers={"content-type": kind}).json()
        if plan["bytes"] < _SHOWN_BYTES:
            continue
        (old,) = workers(server)
        os.kill(old, signal.SIGKILL)
        while not (fresh := [pid for pid in workers(server) if pid != old]):
            time.sleep(0.05)
        server.wait_ready()
        Path(f"/proc/{fresh[0]}/clear_refs").write_text("5")  # its peak is now what it has
        before = peak_bytes(fresh[0])
        assert Client(server.address, 600).upscale(body, kind=kind).status == 200
        ratios.append((peak_bytes(fresh[0]) - before) / plan["bytes"])
        size, mode = "x".join(map(str, image.size)), image.mode
        told = f"{plan['strategy']}, {plan['bytes'] >> 20} MB: {ratios[-1]:.2f}"
        print(f"measured by forecast, {size} {mode} {image.format}, {told}", flush=True)
    print(
        f"measured by forecast of {len(ratios)}: {min(ratios):.2f} to {max(ratios):.2f}, median "
        f"{statistics.median(ratios):.2f}; "
        f"{sum(0.7 <= ratio <= 1.1 for ratio in ratios) / len(ratios):.0%} in 0.7..1.1"
    )


def workers(server: Server) -> list[int]:
    return [pid for pid, module in server.children().items() if module.endswith(".worker")]


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def small(server: Server, count: int) -> None:
    client, body = Client(server.address), encoded(picture(24, 24))
    rows = []
    for number in range(1, count + 1):
        assert client.upscale(body).status == 200
        if number in (50, count):
            rows.append(totals(server.process.pid))
    for name, (_, before) in rows[0].items():
        after = rows[1][name][1]
        print(f"{name.split()[1]}: {before >> 20} MB after 50, {after >> 20} MB after {count}")
    first, last = (sum(size for _, size in row.values()) for row in rows)
    print(f"all: {last / first - 1:+.1%}")


if __name__ == "__main__":
    main()
