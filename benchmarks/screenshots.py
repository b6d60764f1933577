"""Pictures of the nodes in a real ComfyUI, for README and guides.

    COMFYUI_DIR=... COMFYUI_PYTHON=... python benchmarks/screenshots.py [--faces-model FILE]

Starts the ComfyUI with this pack and the examples' portrait, loads example workflows in chromium,
and writes docs/images/*.webp: the graph, the plan, a run, the report, the comparison. With
a checkpoint for faces also the workflow that refines them.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "tests")]

import comfyui_server  # noqa: E402
from browser import opened_browser  # noqa: E402

from web import comfyui  # noqa: E402

OUT = ROOT / "docs" / "images"
TITLE, MARGIN = 30, 12
TILED, COMPARE, FACES = "Swin2SR_TiledUpscale", "Swin2SR_Compare", "Swin2SR_FaceRefine"

BOX = """([types, title]) => {
  const nodes = app.graph.nodes.filter((node) => !types.length || types.includes(node.type))
  const { scale, offset } = app.canvas.ds
  const place = app.canvas.canvas.getBoundingClientRect()
  const x = Math.min(...nodes.map((node) => node.pos[0]))
  const y = Math.min(...nodes.map((node) => node.pos[1])) - title
  const right = Math.max(...nodes.map((node) => node.pos[0] + node.size[0]))
  const bottom = Math.max(...nodes.map((node) => node.pos[1] + node.size[1]))
  return {
    x: place.x + (x + offset[0]) * scale,
    y: place.y + (y + offset[1]) * scale,
    width: (right - x) * scale,
    height: (bottom - y) * scale,
  }
}"""
VIEW = """([types, title, margin]) => {
  const nodes = app.graph.nodes.filter((node) => !types.length || types.includes(node.type))
  const x = Math.min(...nodes.map((node) => node.pos[0])) - margin
  const y = Math.min(...nodes.map((node) => node.pos[1])) - title - margin
  const right = Math.max(...nodes.map((node) => node.pos[0] + node.size[0])) + margin
  const bottom = Math.max(...nodes.map((node) => node.pos[1] + node.size[1])) + margin
  const { ds, canvas } = app.canvas
  const place = canvas.getBoundingClientRect()
  // beside ComfyUI's own bars, which lie over the canvas
  const [left, top] = [110, 110]
  ds.scale = Math.min((place.width - left - 80) / (right - x),
                      (place.height - top - 60) / (bottom - y), 1.25)
  ds.offset = [left / ds.scale - x, top / ds.scale - y]
  app.canvas.setDirty(true, true)
}"""
PANEL = """(type) => app.graph.nodes.find((node) => node.type === type)
  .widgets.find((widget) => widget.element).element.innerText"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces-model", type=Path, help="a file of lightweight-x2")
    args = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, opened_browser() as browser:
        base = Path(folder)
        (base / "input").mkdir()
        shutil.copy(ROOT / "examples" / "astronaut_128.png", base / "input" / "example.png")
        large = Image.open(ROOT / "examples" / "astronaut_128.png").resize((1600, 1600))
        large.save(base / "input" / "large.png")
        if args.faces_model:
            place = base / "models" / "swin2sr"
            place.mkdir(parents=True)
            name = f"Swin2SR_Lightweight_X2_64{args.faces_model.suffix}"
            shutil.copy(args.faces_model, place / name)
        with comfyui_server.running(base) as url:
            upscaling(browser, url)
            if args.faces_model:
                faces(browser, url)


def upscaling(browser: Any, url: str) -> None:
    """The graph before, its plan, a run, and what comes of it."""
    page = comfyui.open_in(browser.new_page, url)
    page.set_viewport_size({"width": 1500, "height": 900})
    comfyui.load(page, comfyui.example("compare_before_after"))
    wait(page, TILED, "→")
    shoot(page, "plan", [TILED])
    page.evaluate(
        "app.graph.nodes.find((n) => n.type === 'LoadImage').widgets[0].value='large.png'"
    )
    page.evaluate("app.queuePrompt(0, 1)")
    page.wait_for_function(f"Number(({PANEL_BAR})?.ariaValueNow) > 10", timeout=120_000)
    shoot(page, "run", [TILED])
    page.evaluate("app.extensionManager.command.execute('Comfy.Interrupt')")
    page.evaluate(
        "app.graph.nodes.find((n) => n.type === 'LoadImage').widgets[0].value='example.png'"
    )
    page.evaluate("app.queuePrompt(0, 1)")
    page.locator(".swin2sr-report").first.wait_for(timeout=120_000)
    page.wait_for_function(
        "[...document.querySelectorAll('.swin2sr-label')].some(e => e.innerText)"
    )
    shoot(page, "report", [TILED])
    shoot(page, "comparison", [COMPARE])
    shoot(page, "graph", [])
    page.close()


PANEL_BAR = "document.querySelector('.swin2sr-panel [role=progressbar]')"


def faces(browser: Any, url: str) -> None:
    page = comfyui.open_in(browser.new_page, url)
    comfyui.load(page, comfyui.example("faces_two_stage"))
    page.evaluate("""() => {
      for (const node of app.graph.nodes)
        for (const widget of node.widgets ?? []) {
          const known = widget.options?.values
          if (!Array.isArray(known) || known.includes(widget.value)) continue
          const plain = String(widget.value).replace(' (download)', '')
          widget.value = known.find((each) => each.startsWith(plain)) ?? known[0]
        }
    }""")
    page.evaluate("app.queuePrompt(0, 1)")
    page.wait_for_function(
        "app.graph.nodes.find((n) => n.type === 'SaveImage').images?.length", timeout=240_000
    )
    shoot(page, "faces", [FACES, "SaveImage", "PreviewImage"])
    page.close()


def wait(page: Any, kind: str, text: str) -> None:
    """Until the panel of that kind of node says `text`."""
    page.wait_for_function(f"({PANEL})('{kind}').includes('{text}')", timeout=60_000)


def shoot(page: Any, name: str, kinds: list[str]) -> None:
    """The nodes of these kinds (all, if none), as large as they can be, and no more than them."""
    page.evaluate(VIEW, [kinds, TITLE, MARGIN])
    page.wait_for_timeout(1500)  # panels follow the canvas, and textures are drawn again
    box = page.evaluate(BOX, [kinds, TITLE])
    clip = {
        "x": max(0, box["x"] - MARGIN),
        "y": max(0, box["y"] - MARGIN),
        "width": box["width"] + 2 * MARGIN,
        "height": box["height"] + 2 * MARGIN,
    }
    with Image.open(io.BytesIO(page.screenshot(clip=clip))) as picture:
        picture.convert("RGB").save(OUT / f"{name}.webp", quality=82, method=6)
    print(f"{name}: {picture.width}x{picture.height}")


if __name__ == "__main__":
    main()
