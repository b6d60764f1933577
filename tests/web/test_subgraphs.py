"""Our nodes in a subgraph: made, opened, run, undone and deleted on ComfyUI's page."""

import pytest

from . import comfyui

TIMES = "\N{MULTIPLICATION SIGN}"
SIZES = f"96{TIMES}72 → 384{TIMES}288"

HELPERS = """() => {
  window.inner = () => app.rootGraph ?? app.graph
  window.holder = () => inner().nodes.find((node) => node.subgraph)
  window.upscaler = (graph) => graph.nodes.find((node) => node.type === 'Swin2SR_TiledUpscale')
  window.told = (node) => node.widgets.find((widget) => widget.element)?.element.textContent ?? ''
}"""

CONVERT = """(pattern) => {
  const nodes = app.graph.nodes.filter((node) => new RegExp(pattern).test(node.type))
  app.graph.convertToSubgraph(new Set(nodes))
}"""


@pytest.fixture
def page(open_comfyui):
    page = open_comfyui()
    page.evaluate(HELPERS)
    comfyui.load(page, comfyui.example("upscale_picture"))
    page.wait_for_function("sizes => told(upscaler(app.graph)).includes(sizes)", arg=SIZES)
    return page


@pytest.mark.parametrize(
    "pattern", ["^Swin2SR", "Swin2SR_TiledUpscale", "LoadImage", "^(LoadImage|Swin2SR)"]
)
def test_the_plan_knows_the_picture_through_the_border(pattern, page):
    page.evaluate(CONVERT, pattern)
    place = "holder().subgraph" if "Swin2SR" in pattern else "inner()"
    page.wait_for_function(f"sizes => told(upscaler({place})).includes(sizes)", arg=SIZES)


def test_open_run_undo_delete(page):
    page.evaluate(CONVERT, "^Swin2SR")
    page.wait_for_timeout(1000)
    page.evaluate("app.canvas.openSubgraph(holder().subgraph, holder())")
    page.wait_for_timeout(1000)
    page.evaluate("app.queuePrompt(0, 1)")
    page.wait_for_function("told(upscaler(holder().subgraph)).includes('compact-x4')")
    page.wait_for_function("told(upscaler(holder().subgraph)).includes('whole report')")
    page.evaluate("app.canvas.setGraph(inner())")
    page.evaluate("app.extensionManager.command.execute('Comfy.Undo')")
    page.wait_for_timeout(1000)
    page.evaluate("holder() && inner().remove(holder())")
    page.wait_for_timeout(1000)
    page.evaluate("inner().clear()")
    page.wait_for_timeout(1000)
