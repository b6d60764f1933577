"""The compare view in a browser: how soon two large pictures are there, how smoothly they divide.

    python benchmarks/web_compare.py [--side 4096] [--seconds 3]

Needs playwright and chromium, as the tests in tests/web do. Frames are counted by the page's own
animation frames while the divider is dragged with real mouse events; without a GPU they are drawn
by the processor, which is the slow case.
"""

import argparse
import contextlib
import functools
import http.server
import io
import json
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PAGE = b"""<!doctype html><link rel="icon" href="data:,">
<div id="place" style="width: 900px; height: 700px"></div>"""

OPEN = """async ([a, b]) => {
  const { CompareView } = await import('/web/js/compare_view.js')
  const { addStyles } = await import('/web/js/dom.js')
  addStyles()
  const sheet = document.querySelector('link[rel=stylesheet]')
  if (!sheet.sheet) await new Promise((done) => (sheet.onload = done))
  window.view?.dispose()
  window.view = new CompareView()
  place.replaceChildren(view.root)
  const started = performance.now()
  await view.show(a, b)
  await new Promise(requestAnimationFrame)
  await new Promise(requestAnimationFrame)
  return performance.now() - started
}"""

COUNT = """() => {
  window.frames_ = []
  window.counting = true
  const count = (now) => { frames_.push(now); if (counting) requestAnimationFrame(count) }
  requestAnimationFrame(count)
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--compress", type=int, default=1, help="of the PNG files, 0 to 9")
    arguments = parser.parse_args()
    pictures = {
        f"/{name}.png": picture(arguments.side, seed, arguments.compress)
        for seed, name in enumerate("ab")
    }
    handler = functools.partial(Handler, pictures)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        page = browser.new_page(viewport={"width": 1000, "height": 800})
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        opened = [page.evaluate(OPEN, [[f"/a.png?{n}"], [f"/b.png?{n}"]]) for n in range(5)]
        result = {
            "side": arguments.side,
            "file_bytes": [len(content) for content in pictures.values()],
            "opened_ms": [round(each) for each in opened],
        }
        for name, zoom in (("all", 1), ("zoomed", 4)):
            page.evaluate("zoom => { view.showAll(); view.zoomBy(zoom, [300, 300]) }", zoom)
            page.wait_for_timeout(700)
            result[f"drag_{name}"] = drag(page, arguments.seconds)
        browser.close()
    server.shutdown()
    print(json.dumps(result, indent=1))


def picture(side: int, seed: int, compress: int) -> bytes:
    """A PNG with as much detail as photographs have: smooth noise in several sizes."""
    generator = np.random.default_rng(seed)
    total = np.zeros((side, side, 3), np.float32)
    for step in (512, 64, 8):
        cells = side // step + 2
        coarse = Image.fromarray(generator.integers(0, 256, (cells, cells, 3), np.uint8))
        total += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 3
    file = io.BytesIO()
    Image.fromarray(total.astype(np.uint8)).save(file, "PNG", compress_level=compress)
    return file.getvalue()


def drag(page, seconds: float) -> dict[str, float]:
    """Frames per second while the divider goes to and fro, and the longest time between two."""
    box = page.locator(".swin2sr-stage").bounding_box()
    at = page.evaluate("view.divider")
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + at * box["width"], middle)
    page.mouse.down()
    page.evaluate(COUNT)
    until = time.perf_counter() + seconds
    part, step = at, 0.02
    while time.perf_counter() < until:
        part += step
        if not 0.05 < part < 0.95:
            step = -step
        page.mouse.move(box["x"] + part * box["width"], middle)
    page.mouse.up()
    frames = np.diff(page.evaluate("counting = false, frames_"))
    return {
        "frames_per_second": round(1000 / frames.mean(), 1),
        "median_ms": round(float(np.median(frames)), 1),
        "p95_ms": round(float(np.quantile(frames, 0.95)), 1),
        "longest_ms": round(float(frames.max()), 1),
    }


class Handler(http.server.SimpleHTTPRequestHandler):
    """The pack's files, the page, and the pictures."""

    def __init__(self, pictures: dict[str, bytes], *args) -> None:
        self.pictures = pictures
        super().__init__(*args, directory=str(ROOT))

    def do_GET(self) -> None:
        if self.path.startswith("/web/"):
            super().do_GET()
            return
        content = self.pictures.get(self.path.partition("?")[0], PAGE)
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if content is PAGE else "image/png")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content)

    def log_message(self, *_args) -> None:
        pass


if __name__ == "__main__":
    main()
