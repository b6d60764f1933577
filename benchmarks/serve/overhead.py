"""How much of a device the service leaves to the network, and what it adds to a request.

    python benchmarks/serve/overhead.py [--clients 1 2 4 8] [--seconds 15] [--threads 1]

Clients in a closed loop send one 128x128 picture with compact-x4. goodput: pictures in a second by
the network's own seconds for one, which are those of a client alone; busy: by those that it took
then, beside the rest of the service and whatever else runs (1.0: the device never waits); by the
command line: by those of `swin2sr upscale FOLDER`, reading and writing counted, for one picture.
added: what a request takes less its worker's time for it, from its turn to its end. With
--threads 1 the device is one core, and the rest of the service has the others, as beside a GPU;
0 gives the device all cores, so that everything else is taken from it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from measuring import ROOT, Answer, Client, Server, encoded, picture, serving, sums, totals

_WARM = 5
_FEW, _MORE = 5, 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", type=int, default=128)
    arguments = parser.parse_args()
    environment = {"OMP_NUM_THREADS": str(arguments.threads)} if arguments.threads else {}
    body = encoded(picture(arguments.side, arguments.side))
    with (
        tempfile.TemporaryDirectory() as spool,
        serving(spool, environment=environment) as server,
    ):
        loop(server, body, 1, _WARM)
        alone = loop(server, body, 1, arguments.seconds)
        model = statistics.median(each.report["inference_time_ms"] for each in alone) / 1000
        print(f"the network alone: {model * 1000:.1f} ms", flush=True)
        plain = command_line_seconds(body, environment)
        print(f"by the command line: {plain * 1000:.1f} ms", flush=True)
        print("clients  goodput  by the command line   busy  median ms  added ms  network", end="")
        print("  CPU ms a picture")
        for count in arguments.clients:
            row(server, body, count, arguments.seconds, model, plain)


def command_line_seconds(body: bytes, environment: dict[str, str]) -> float:
    """For one picture more in a folder."""

    def seconds(count: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(count):
                (Path(folder) / f"{number}.png").write_bytes(body)
            words = [folder, "-o", f"{folder}/out", "--device", "cpu", "--precision", "fp32"]
            begun = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "swin2sr_core", "upscale", *words, "--strip-metadata"],
                env={**os.environ, **environment},
                check=True,
                capture_output=True,
                cwd=ROOT,
            )
            return time.perf_counter() - begun

    return (seconds(_FEW + _MORE) - seconds(_FEW)) / _MORE


def row(
    server: Server, body: bytes, count: int, seconds: float, model: float, plain: float
) -> None:
    before, spent = server.client.get("/metrics").text, totals(server.process.pid)
    begun = time.perf_counter()
    answers = loop(server, body, count, seconds)
    elapsed = time.perf_counter() - begun
    after = server.client.get("/metrics").text
    inside = sum(
        sums(after, f"swin2sr_{name}_seconds_sum") - sums(before, f"swin2sr_{name}_seconds_sum")
        for name in ("inference", "overhead")
    ) / len(answers)
    latency = [each.seconds for each in answers]
    added = f"{(statistics.mean(latency) - inside) * 1000:10.1f}" if count == 1 else f"{'':10}"
    cpu = ", ".join(
        f"{name.split()[1]} {(now[0] - spent[name][0]) / len(answers) * 1000:.0f}"
        for name, now in totals(server.process.pid).items()
    )
    times = [each.report["inference_time_ms"] for each in answers]
    network, busy = statistics.median(times), sum(times) / 1000 / elapsed
    rate = len(answers) / elapsed
    median = statistics.median(latency) * 1000
    print(
        f"{count:7}{rate * model:9.3f}{rate * plain:21.3f}{busy:7.3f}{median:11.1f}{added}"
        f"{network:9.1f}  {cpu}",
        flush=True,
    )


def loop(server: Server, body: bytes, clients: int, seconds: float) -> list[Answer]:
    """All answers of clients that ask again as soon as they are answered."""
    answers: list[Answer] = []
    end = time.perf_counter() + seconds

    def ask() -> None:
        client = Client(server.address)
        while time.perf_counter() < end:
            answer = client.upscale(body)
            assert answer.status == 200, answer.body
            answers.append(answer)
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


if __name__ == "__main__":
    main()
