"""What fifty runs leave behind in ComfyUI's page: JavaScript heap, elements, listeners.

    python benchmarks/web_heap.py --url http://127.0.0.1:8188 [--runs 50] [--without]

ComfyUI must run there with this pack. Every run upscales another picture, reports, and compares.
`--without` keeps the pack's part of the page out, for what the page itself gathers meanwhile.
Needs playwright and chromium.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "web"))
from comfyui import READY, node

RUN = """async (colour) => {
  const { api } = await import('/scripts/api.js')
  app.graph.getNodeById(1).widgets.find((w) => w.name === 'color').value = colour
  const once = { once: true }
  const over = new Promise((done) => api.addEventListener('execution_success', done, once))
  await app.queuePrompt(0, 1)
  await over
  await new Promise((done) => setTimeout(done, 150))
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8188")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--without", action="store_true")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--no-proxy-server"],
        )
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        if arguments.without:
            page.route(
                "**/js/swin2sr.js",
                lambda route: route.fulfill(body="", content_type="text/javascript"),
            )
        page.goto(arguments.url)
        page.wait_for_function(READY, timeout=120_000)
        page.evaluate("async (flow) => { await app.loadGraphData(flow) }", flow())
        page.wait_for_timeout(1000)
        session = page.context.new_cdp_session(page)
        counts = {}
        for number in range(1, arguments.runs + 1):
            page.evaluate(RUN, number * 4099)
            if number in (1, 5, 10, 20, 30, 40, arguments.runs):
                counts[number] = measured(session)
        print(json.dumps({"without": arguments.without, "after_run": counts}, indent=1))
        browser.close()


def measured(session) -> dict[str, float]:
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    counters = session.send("Memory.getDOMCounters")
    return {
        "heap_mb": round(heap / 2**20, 2),
        "elements": counters["nodes"],
        "listeners": counters["jsEventListeners"],
    }


def flow() -> dict:
    """A plain picture upscaled, and compared with itself."""
    picture, model = ("IMAGE", "IMAGE"), ("model", "UPSCALE_MODEL")
    settings = [4, 0, 0, "reflect", "auto", 0, 0, 0]
    nodes = [
        node("EmptyImage", 1, [0, 0], [64, 64, 1, 0], outputs=[(*picture, [1, 2])]),
        node("Swin2SR_Load", 2, [0, 300], ["compact-x4", "auto"], outputs=[(*model, [3])]),
        node(
            "Swin2SR_TiledUpscale",
            3,
            [400, 0],
            settings,
            [("image", "IMAGE", 1), (*model, 3)],
            [("image", "IMAGE", [4]), ("report", "STRING", [])],
        ),
        node("Swin2SR_Compare", 4, [800, 0], (), [("before", "IMAGE", 2), ("after", "IMAGE", 4)]),
    ]
    links = [
        [1, 1, 0, 3, 0, "IMAGE"],
        [2, 1, 0, 4, 0, "IMAGE"],
        [3, 2, 0, 3, 1, "UPSCALE_MODEL"],
        [4, 3, 0, 4, 1, "IMAGE"],
    ]
    return {"last_node_id": 4, "last_link_id": 4, "nodes": nodes, "links": links, "version": 0.4}


if __name__ == "__main__":
    main()
