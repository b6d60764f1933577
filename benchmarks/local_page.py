"""The page with ?local=1: seconds for pictures in Chromium, and what its renderer takes.

    python benchmarks/local_page.py ASSETS [--sides 128 512] [--runs 3]

ASSETS is the folder of `swin2sr serve --local-assets`; needs playwright and a Chromium. The model
is loaded by a small picture first. Memory (Linux): the renderer's peak less what it had by then.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browser import opened_browser  # noqa: E402
from http_service import encoded, noise, serving  # noqa: E402


def renderer_bytes(field: str) -> int:
    """Of the largest renderer, by the kernel: VmRSS (now) or VmHWM (the most so far)."""
    sizes = [0]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                status = (process / "status").read_text()
                sizes.append(int(re.search(rf"{field}:\s+(\d+)", status)[1]) << 10)
        except (OSError, TypeError):
            continue
    return max(sizes)


def seconds_of(page, side: int) -> tuple[float, str]:
    """From the button to the download, and what the page says of it."""
    data = encoded(noise(side, side))
    picture = {"name": f"{side}.png", "mimeType": "image/png", "buffer": data}
    page.set_input_files("#files", picture)
    page.locator("#draft li").get_by_text("→").wait_for()
    plan = page.locator("#draft li .quiet").inner_text()
    started = time.perf_counter()
    page.get_by_role("button", name="Upscale").click()
    page.get_by_role("button", name="Download", exact=True).wait_for(timeout=600_000)
    spent = time.perf_counter() - started
    told = page.locator("#jobs li .quiet").inner_text()
    page.get_by_role("button", name="Put away").click()
    return spent, f"{told} (planned: {plan})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assets", type=Path)
    parser.add_argument("--sides", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--runs", type=int, default=3, help="of pictures up to 256 pixels")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as spool,
        serving(spool, "--local-assets", args.assets) as server,
        opened_browser() as browser,
    ):
        page = browser.new_page(locale="en")
        page.goto(f"{server.address}/?local=1")
        page.wait_for_selector("#model option", state="attached")
        threads = page.evaluate("crossOriginIsolated ? navigator.hardwareConcurrency : 1")
        first, told = seconds_of(page, 16)
        print(f"chromium {browser.version}, {threads} threads; first picture {first:.2f} s: {told}")
        for side in args.sides:
            before = renderer_bytes("VmRSS")
            runs = [seconds_of(page, side) for _ in range(args.runs if side <= 256 else 1)]
            seconds = statistics.median(spent for spent, _ in runs)
            most = (renderer_bytes("VmHWM") - before) / 1e6
            print(f"{side}x{side}: {seconds:.2f} s, {most:.0f} MB more than before; {runs[-1][1]}")


if __name__ == "__main__":
    main()
