"""A real ComfyUI with this pack, and its page in the browser.

COMFYUI_DIR is its checkout; COMFYUI_PYTHON the Python that has what it needs (this one by default);
COMFYUI_FRONTEND a folder with another version of its page.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
READY = (
    "() => window.app?.graph && window.app.extensionManager?.workflow?.activeWorkflow"
    " && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 50"
)


@contextmanager
def running(base: Path) -> Iterator[str]:
    """The address of a server that works in the folder `base` and can reach no network."""
    (base / "custom_nodes").mkdir(parents=True, exist_ok=True)
    (base / "models" / "upscale_models").mkdir(parents=True, exist_ok=True)
    pack = base / "custom_nodes" / "swin2sr"
    if not pack.exists():
        pack.symlink_to(ROOT, target_is_directory=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    page = os.environ.get("COMFYUI_FRONTEND")
    command = [
        os.environ.get("COMFYUI_PYTHON", sys.executable),
        *("main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port)),
        *("--base-directory", str(base), "--disable-auto-launch", "--disable-api-nodes"),
        *("--database-url", f"sqlite:///{base}/comfyui.db"),
        *(("--front-end-root", page) if page else ()),
    ]
    nowhere = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")}
    environment = {**os.environ, **nowhere, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    with (base / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=os.environ["COMFYUI_DIR"], env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url, process, base / "log.txt")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        try:
            OPENER.open(f"{url}/system_stats", timeout=5).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.3)
    raise RuntimeError(f"ComfyUI did not start:\n{log.read_text()[-3000:]}")


def open_in(browser, url: str, theme="dark", language="en", vue=False):
    """Its page, as a first visitor with these settings sees it, and what the page complains of.

    Complaints are those of this pack: others' are theirs.
    """
    context = browser.new_context(viewport={"width": 1500, "height": 900})
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: note(message, complaints))
    page.on("pageerror", lambda e: "swin2sr" in str(e.stack) and complaints.append(str(e)))
    page.on(
        "response",
        lambda r: r.status >= 400 and "swin2sr" in r.url and complaints.append(r.url),
    )

    def settings(route):
        if route.request.method != "GET":
            route.continue_()
            return
        reply = route.fetch()
        chosen = {
            "Comfy.TutorialCompleted": True,
            "Comfy.ColorPalette": theme,
            "Comfy.Locale": language,
            "Comfy.VueNodes.Enabled": vue,
        }
        route.fulfill(response=reply, json=reply.json() | chosen)

    page.route(f"{url}/api/settings", settings)
    page.goto(url)
    page.wait_for_function(READY, timeout=120_000)
    return page, complaints


def note(message, complaints: list[str]) -> None:
    place = message.location.get("url", "")
    if message.type in ("error", "warning") and "swin2sr" in place + message.text:
        complaints.append(message.text)


def load(page, workflow: dict) -> None:
    page.evaluate("async (flow) => { await app.loadGraphData(flow) }", workflow)
    page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")


def example(name: str) -> dict:
    return json.loads((ROOT / "example_workflows" / f"{name}.json").read_text("utf-8"))
