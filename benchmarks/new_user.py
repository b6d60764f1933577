"""How long a new user waits for a first picture: README, the service, ComfyUI.

    python benchmarks/new_user.py readme        # clone, environment, install, upscale
    python benchmarks/new_user.py service       # the same with .[serve], to a picture on the page
    COMFYUI_DIR=... COMFYUI_PYTHON=... python benchmarks/new_user.py comfyui     # in the graph

Each begins with a fresh clone in a temporary folder, `readme` and `service` with a fresh
environment, whose downloads count. ComfyUI is there, as it is at whoever wants nodes for it. The
browser is driven by this Python's playwright.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "support")]

PAGE = "http://127.0.0.1:8080"


class Clock:
    """Seconds of one step after another."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self._last = self._begun = time.monotonic()

    def step(self, name: str) -> None:
        now = time.monotonic()
        self.steps[name] = round(now - self._last, 1)
        self._last = now
        print(f"{name}: {self.steps[name]} s", file=sys.stderr, flush=True)

    def show(self) -> None:
        print(json.dumps(self.steps | {"all": round(time.monotonic() - self._begun, 1)}, indent=1))


def main() -> None:
    ways: dict[str, Callable[[Path, Clock], None]] = {
        "readme": readme,
        "service": service,
        "comfyui": comfyui,
    }
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("way", choices=ways)
    args = parser.parse_args()
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="new-user-") as folder:
        clone = Path(folder) / "swin2sr"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        clock.step("clone")
        ways[args.way](clone, clock)
    clock.show()


def readme(clone: Path, clock: Clock) -> None:
    """README's two commands, as they stand there."""
    run(clone, "python -m venv .venv")
    clock.step("environment")
    run(clone, ". .venv/bin/activate && pip install -q -e .")
    clock.step("install")
    run(clone, ". .venv/bin/activate && swin2sr upscale examples/astronaut_128.png")
    clock.step("first picture")
    assert (clone / "examples" / "astronaut_128_x4.png").is_file()


def service(clone: Path, clock: Clock) -> None:
    """Install, start, open the page, choose a picture, press the button, see the result."""
    from browser import opened_browser

    run(clone, 'python -m venv .venv && . .venv/bin/activate && pip install -q -e ".[serve]"')
    clock.step("environment and install")
    served = subprocess.Popen(
        ["bash", "-c", ". .venv/bin/activate && exec swin2sr serve"], cwd=clone, env=clean()
    )
    try:
        with opened_browser() as browser:
            page = browser.new_page()
            for _ in range(600):
                if served.poll() is not None:
                    raise SystemExit("the service has ended")
                try:
                    page.goto(PAGE)
                    break
                except Exception:
                    time.sleep(0.2)
            clock.step("page")
            page.set_input_files("#files", str(clone / "examples" / "astronaut_128.png"))
            page.get_by_role("button", name="Upscale").click()
            page.get_by_role("button", name="Download", exact=True).wait_for(timeout=120_000)
            clock.step("first picture")
    finally:
        served.send_signal(signal.SIGINT)
        served.wait(60)


def comfyui(clone: Path, clock: Clock) -> None:
    """The clone in custom_nodes of an installed ComfyUI: start, template, queue, picture."""
    import comfyui_server
    from browser import opened_browser

    from web import comfyui as page_of

    base = clone.parent / "base"
    (base / "custom_nodes").mkdir(parents=True)
    (base / "input").mkdir()
    shutil.move(clone, base / "custom_nodes" / "swin2sr")
    pack = base / "custom_nodes" / "swin2sr"
    shutil.copy(pack / "examples" / "astronaut_128.png", base / "input" / "example.png")
    with comfyui_server.running(base) as url, opened_browser() as browser:
        clock.step("ComfyUI starts")
        page = page_of.open_in(browser.new_page, url)
        page_of.load(page, page_of.example("compare_before_after"))
        clock.step("page and template")
        page.evaluate("app.queuePrompt(0, 1)")
        shown = "[...document.querySelectorAll('.swin2sr-label')].some((each) => each.innerText)"
        page.wait_for_function(shown, timeout=120_000)
        clock.step("first picture")


def run(folder: Path, command: str) -> None:
    subprocess.run(["bash", "-c", command], cwd=folder, env=clean(), check=True)


def clean() -> dict[str, str]:
    """This environment, without what leads to this checkout."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}


if __name__ == "__main__":
    main()
