"""ComfyUI's page in the browser."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY = (
    "() => window.app?.graph && window.app.extensionManager?.workflow?.activeWorkflow"
    " && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 50"
)


def open_in(new_page, url: str, theme="dark", language="en", vue=False):
    """Its page, as a first visitor with these settings sees it."""
    page = new_page(viewport={"width": 1500, "height": 900})

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
    # Notices, such as one about versions, lie over nodes.
    # Not by add_style_tag: it fails on any breach of the page's policy, also one of ComfyUI's own.
    page.evaluate(
        """() => {
          const style = document.createElement('style')
          style.textContent = '.p-toast { display: none !important }'
          document.head.append(style)
        }"""
    )
    return page


def load(page, workflow: dict) -> None:
    page.evaluate("async (flow) => { await app.loadGraphData(flow) }", workflow)
    page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")


def example(name: str) -> dict:
    return json.loads((ROOT / "example_workflows" / f"{name}.json").read_text("utf-8"))


def node(kind, identity, position, widgets=(), inputs=(), outputs=()):
    return {
        "id": identity,
        "type": kind,
        "pos": position,
        "size": [320, 200],
        "flags": {},
        "order": identity,
        "mode": 0,
        "inputs": [{"name": n, "type": t, "link": link} for n, t, link in inputs],
        "outputs": [{"name": n, "type": t, "links": links} for n, t, links in outputs],
        "properties": {},
        "widgets_values": list(widgets),
    }


def flow(picture="example.png", model="compact-x4"):
    """A picture upscaled, and compared with itself; two colours compared."""
    image, upscaler = ("IMAGE", "IMAGE"), [4, 0, 0, "reflect", "auto", 0, 0, 0]
    nodes = [
        node("LoadImage", 1, [0, 0], [picture, "image"], outputs=[(*image, [1, 2])]),
        node(
            "Swin2SR_Load", 2, [0, 450], [model, "fp32"], outputs=[("model", "UPSCALE_MODEL", [3])]
        ),
        node(
            "Swin2SR_TiledUpscale",
            3,
            [400, 0],
            upscaler,
            [("image", "IMAGE", 1), ("model", "UPSCALE_MODEL", 3)],
            [("image", "IMAGE", [4]), ("report", "STRING", [])],
        ),
        node("Swin2SR_Compare", 4, [800, 0], (), [("before", "IMAGE", 2), ("after", "IMAGE", 4)]),
        node("EmptyImage", 5, [1300, 500], [64, 48, 1, 0xDC0000], outputs=[(*image, [5])]),
        node("EmptyImage", 6, [1300, 750], [128, 96, 1, 0x0000DC], outputs=[(*image, [6])]),
        node("Swin2SR_Compare", 7, [1300, 0], (), [("before", "IMAGE", 5), ("after", "IMAGE", 6)]),
    ]
    links = [
        [1, 1, 0, 3, 0, "IMAGE"],
        [2, 1, 0, 4, 0, "IMAGE"],
        [3, 2, 0, 3, 1, "UPSCALE_MODEL"],
        [4, 3, 0, 4, 1, "IMAGE"],
        [5, 5, 0, 7, 0, "IMAGE"],
        [6, 6, 0, 7, 1, "IMAGE"],
    ]
    return {"last_node_id": 7, "last_link_id": 6, "nodes": nodes, "links": links, "version": 0.4}
