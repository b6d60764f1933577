"""ComfyUI's page in the browser."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY = (
    "() => window.app?.graph && window.app.extensionManager?.workflow?.activeWorkflow"
    " && Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 50"
)


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
