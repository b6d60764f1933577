"""Clients that post pictures until their number is done; writes JSON for a test.

python load.py ADDRESS --clients 4 --pictures 40 --sides 32,128
"""

import argparse
import collections
import io
import itertools
import json
import sys
import threading
import time

import httpx
import numpy as np
from PIL import Image


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--sides", default="32,128")
    args = parser.parse_args()
    sides = itertools.cycle(map(int, args.sides.split(",")))
    waiting = collections.deque(drawn(next(sides)) for _ in range(args.pictures))
    statuses, seconds = collections.Counter(), []

    def client():
        with httpx.Client(timeout=120) as session:
            while True:
                try:
                    content = waiting.popleft()
                except IndexError:
                    return
                began = time.perf_counter()
                statuses[answer(session, args.address, content)] += 1
                seconds.append(time.perf_counter() - began)

    threads = [threading.Thread(target=client) for _ in range(args.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds.sort()
    p50, p99 = (seconds[int(part * (len(seconds) - 1))] for part in (0.5, 0.99))
    found = {"statuses": statuses, "p50": round(p50, 3), "p99": round(p99, 3)}
    json.dump(found, sys.stdout)


def answer(session, address, content):
    try:
        return session.post(f"{address}/upscale", files={"image": content}).status_code
    except httpx.HTTPError as error:
        return type(error).__name__


def drawn(side):
    file = io.BytesIO()
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
