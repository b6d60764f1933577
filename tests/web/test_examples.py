"""The example workflows on ComfyUI's page: nothing lies over anything else at any time."""

import itertools

import pytest

from . import comfyui

NAMES = sorted(path.stem for path in (comfyui.ROOT / "example_workflows").glob("*.json"))

BOXES = """() => app.graph.nodes.map((node) => {
  const shown = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect()
  const scale = app.canvas.ds.scale
  const title = 30
  const [x, y, width, height] = shown
    ? [shown.x / scale, shown.y / scale, shown.width / scale, shown.height / scale]
    : [node.pos[0], node.pos[1] - title, node.size[0], node.size[1] + title]
  return { name: `${node.id} ${node.type}`, x, y, right: x + width, bottom: y + height }
})"""

RUN = {
    "frames": 2,
    "model": "compact-x4",
    "device": "cpu",
    "precision": "bf16",
    "strategy": "whole",
    "input": [512, 512],
    "output": [2048, 2048],
    "forecast_bytes": 3 << 30,
    "expected_seconds": 40,
}
PROGRESS = {"fraction": 0.5, "frame": 1, "seconds": 20, "left_seconds": 20, "memory_bytes": 2 << 30}
DONE = {
    "seconds": 41,
    "used_strategy": "staged",
    "memory_bytes": 3 << 30,
    "memory_of": "process",
    "fallbacks": ["the memory ran out: staged instead of whole"],
    "notes": ["tile_size and overlap do nothing here: they are for the strategy tiled"],
    "text": "a line\n" * 12,
}
FACES = {"count": 3, "skipped": 2, "frames": 1, "seconds": 4, "fallbacks": []}

SHOW = """async ([kind, upscale, faces]) => {
  const { api } = await import('/scripts/api.js')
  for (const node of app.graph.nodes) {
    const told = node.type === 'Swin2SR_FaceRefine' ? faces : upscale
    if (!/^Swin2SR_(Tiled|Face)/.test(node.type)) continue
    api.dispatchCustomEvent('swin2sr.run', { ...told, node: String(node.id), prompt: 'p' })
  }
  if (kind !== 'done') return
  const output = { images: [{ filename: 'example.png', subfolder: '', type: 'input' }] }
  for (const node of app.graph.nodes.filter((n) => /^(Save|Preview)Image$/.test(n.type)))
    node.onExecuted?.(output)
}"""


def overlaps(page):
    page.wait_for_timeout(700)  # nodes are measured as they are drawn
    return [
        f"{a['name']} and {b['name']}"
        for a, b in itertools.combinations(page.evaluate(BOXES), 2)
        if min(a["right"], b["right"]) - max(a["x"], b["x"]) > 1
        and min(a["bottom"], b["bottom"]) - max(a["y"], b["y"]) > 1
    ]


EMPTY = """() => app.graph.nodes.flatMap((node) => {
  if (node.type !== 'Swin2SR_FaceRefine') return []
  const bottom = (element) => element.getBoundingClientRect().bottom
  const shown = document.querySelector(`[data-node-id="${node.id}"]`)
  const panel = node.widgets.find((widget) => widget.element).element
  const spare = shown
    ? (bottom(shown) - bottom(panel)) / app.canvas.ds.scale
    : node.size[1] - node.computeSize()[1]
  return spare > 130 ? [`${node.id} has ${Math.round(spare)} px of nothing`] : []
})"""


def empty(page):
    """Nodes for faces that are much higher than what is in them; no picture comes below it."""
    return page.evaluate(EMPTY)


def unread(page):
    """Texts of panels that are cut off at the right."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.swin2sr-panel')]
          .filter((panel) => panel.scrollWidth > panel.clientWidth + 1)
          .map((panel) => panel.innerText)"""
    )


@pytest.fixture(params=[False, True], ids=["classic", "vue"])
def page(request, open_comfyui):
    page = open_comfyui("light" if request.param else "dark", "en", request.param)
    version = page.evaluate("window.__COMFYUI_FRONTEND_VERSION__ ?? '0.0'")
    if request.param and [int(n) for n in version.split(".")[:2]] < [1, 33]:
        pytest.skip(f"the page of version {version} has no finished second renderer")
    return page


def test_nothing_overlaps_before_during_and_after_a_run(page):
    found = {}
    for name in NAMES:
        comfyui.load(page, comfyui.example(name))
        page.wait_for_selector(".swin2sr-foot, .swin2sr-problem", state="attached")
        found[name, "before"] = overlaps(page) + unread(page) + empty(page)
        progress = RUN | PROGRESS | {"kind": "progress"}
        page.evaluate(SHOW, ["start", RUN | {"kind": "start"}, progress | {"kind": "progress"}])
        page.evaluate(SHOW, ["progress", progress, progress])
        found[name, "during"] = overlaps(page) + unread(page)
        page.evaluate(SHOW, ["done", RUN | DONE | {"kind": "done"}, FACES | {"kind": "faces"}])
        found[name, "after"] = overlaps(page) + unread(page) + empty(page)
    assert {key: each for key, each in found.items() if each} == {}
