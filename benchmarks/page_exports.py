"""What ComfyUI's page exports of workflows: the files that benchmarks/conversions.py compares with.

    COMFYUI_DIR=... PYTHON_OF_COMFYUI benchmarks/page_exports.py FOLDER --definitions FILE -o OUT

FOLDER has workflows as the page saves them. Each is loaded on the page of that ComfyUI (or of
COMFYUI_FRONTEND), which is told that the server has the nodes of FILE, an answer of /object_info;
OUT gets {"document", "prompt"} for each. What the page cannot load is named and left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "web")]
from comfyui import READY  # noqa: E402
from comfyui_server import running  # noqa: E402

EXPORT = """async (document) => {
  await app.loadGraphData(document)
  return (await app.graphToPrompt()).output
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--definitions", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as base, running(Path(base)) as url, sync_playwright() as p:
        page = p.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--no-proxy-server"]
        ).new_page()
        known = arguments.definitions.read_text(encoding="utf-8")
        page.route("**/object_info", lambda route: route.fulfill(json=json.loads(known)))
        page.goto(url)
        page.wait_for_function(READY, timeout=120_000)
        types = set(json.loads(known))
        for path in sorted(arguments.folder.glob("*.json")):
            if why := export(page, path, types, arguments.out):
                print(f"{path.name}: {why}", flush=True)


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def export(page: Page, path: Path, known: set[str], out: Path) -> str | None:
    """Why not, or None."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or not isinstance(document.get("nodes"), list):
        return "no workflow"
    try:
        prompt = page.evaluate(EXPORT, document)
    except Error as error:
        return str(error).splitlines()[0]
    unknown = sorted({each.get("class_type") or "?" for each in prompt.values()} - known)
    if unknown or not prompt:
        return f"unknown here: {', '.join(unknown)}"
    (out / path.name).write_text(json.dumps({"document": document, "prompt": prompt}))
    return None


if __name__ == "__main__":
    main()
