"""The whole of it in a real ComfyUI: plan, run, progress, cancel, report, compare, download."""

import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import comfyui_server
import numpy as np
import pytest
from PIL import Image

from . import comfyui
from .conftest import pixels

TIMES = "\N{MULTIPLICATION SIGN}"


def part(page, identity, selector):
    """An element inside the widget of a node, wherever the page has put it."""
    page.evaluate(
        """id => {
          const widget = app.graph.getNodeById(id).widgets.find((each) => each.element)
          widget.element.dataset.test = id
        }""",
        identity,
    )
    return page.locator(f"[data-test='{identity}'] {selector}")


def queue(page):
    page.evaluate("app.queuePrompt(0, 1)")


@pytest.fixture(params=[False, True], ids=["classic", "vue"])
def page(request, open_comfyui):
    """ComfyUI's page in either of its renderers, with the workflow loaded."""
    page = open_comfyui("dark", "en", request.param)
    version = page.evaluate("window.__COMFYUI_FRONTEND_VERSION__ ?? '0.0'")
    if request.param and [int(n) for n in version.split(".")[:2]] < [1, 33]:
        pytest.skip(f"the page of version {version} has no finished second renderer")
    comfyui.load(page, comfyui.flow())
    return page


def test_plan_run_report_and_divider(page, request):
    # A size of its own for each renderer: what ran before would not run again.
    scale, size = (2, f"192{TIMES}144") if "classic" in request.node.name else (3, f"288{TIMES}216")
    plan = part(page, 3, "tbody tr")
    plan.wait_for()
    assert f"96{TIMES}72 → 384{TIMES}288" in plan.inner_text()
    page.evaluate(
        "to => { app.graph.getNodeById(3).widgets.find((w) => w.name === 'scale').value = to }",
        scale,
    )
    page.wait_for_function(
        "text => document.querySelector(\"[data-test='3'] tbody\")?.innerText.includes(text)",
        arg=size,
    )
    page.evaluate(
        """async () => {
          const { api } = await import('/scripts/api.js')
          window.kinds = []
          api.addEventListener('swin2sr.run', ({ detail }) => kinds.push(detail.kind))
        }"""
    )
    queue(page)
    report = part(page, 3, ".swin2sr-report")
    report.wait_for(timeout=60_000)
    assert f"96{TIMES}72 → {size}" in report.inner_text()
    assert "compact-x4" in report.inner_text()
    kinds = page.evaluate("kinds")
    assert (kinds[0], kinds[-1], "progress" in kinds) == ("start", "done", True)

    labels = part(page, 4, ".swin2sr-label")
    page.wait_for_function("document.querySelector(\"[data-test='4'] .swin2sr-label\").innerText")
    assert labels.all_inner_texts() == [f"before 96{TIMES}72", f"after {size}"]

    stage = part(page, 7, ".swin2sr-stage")
    page.wait_for_function("document.querySelector(\"[data-test='7'] .swin2sr-label\").innerText")
    box = stage.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    page.wait_for_timeout(200)
    colours = pixels(stage)
    row = colours[colours.shape[0] // 3]
    at = [tuple(row[int(where * (len(row) - 1))]) for where in (0.15, 0.26, 0.34, 0.85)]
    assert at == [(220, 0, 0)] * 2 + [(0, 0, 220)] * 2


def test_the_page_cancels_a_run_from_the_node(open_comfyui):
    page = open_comfyui()
    comfyui.load(page, comfyui.flow("large.png"))
    part(page, 3, "tbody tr").first.wait_for()
    queue(page)
    bar = part(page, 3, "[role=progressbar]")
    bar.wait_for(timeout=60_000)
    page.wait_for_function(
        "Number(document.querySelector(\"[data-test='3'] [role=progressbar]\").ariaValueNow) > 0"
    )
    part(page, 3, "button[title=Cancel]").click()
    page.wait_for_function(
        "document.querySelector(\"[data-test='3']\").innerText.includes('Cancelled.')"
    )
    assert bar.count() == 0
    assert part(page, 3, "tbody tr").is_visible()


@pytest.mark.parametrize(
    ("language", "words"), [("en", "smallest budget that works"), ("zh", "可行的最小预算")]
)
def test_a_run_that_fails_says_why_in_the_node(language, words, open_comfyui):
    page = open_comfyui("dark", language)
    comfyui.load(page, comfyui.flow())
    part(page, 3, "tbody tr").first.wait_for()
    page.evaluate(
        "app.graph.getNodeById(3).widgets.find((w) => w.name === 'max_memory').value = 0.0001"
    )
    page.wait_for_function(
        "words => document.querySelector(\"[data-test='3']\").innerText.includes(words)",
        arg=words,
    )
    queue(page)
    problem = part(page, 3, ".swin2sr-closable [role=status].swin2sr-problem")
    problem.wait_for(timeout=60_000)
    assert words in problem.inner_text()
    assert part(page, 3, ".swin2sr-problem:visible").count() == 1, "said once"


def test_downloading_without_a_network(open_comfyui, server):
    page = open_comfyui()
    comfyui.load(page, comfyui.flow(model="classical-x4 (download)"))
    part(page, 2, "button").first.wait_for()
    assert "66.2 MB" in part(page, 2, ".swin2sr-line").inner_text()
    part(page, 2, "button").first.click()
    alert = part(page, 2, "[role=alert]")
    alert.wait_for(timeout=60_000)
    assert "Swin2SR_ClassicalSR_X4_64.pth" in alert.inner_text()
    assert str(server[1] / "models" / "swin2sr") in alert.inner_text()


@pytest.mark.parametrize(("theme", "language"), [("light", "zh"), ("dark", "zh"), ("light", "en")])
def test_themes_and_languages(theme, language, open_comfyui):
    page = open_comfyui(theme, language)
    comfyui.load(page, comfyui.flow())
    heads = part(page, 3, "th")
    heads.first.wait_for()
    assert heads.first.inner_text() == {"en": "Size", "zh": "尺寸"}[language]
    back = np.median(pixels(part(page, 3, ".swin2sr-inside")))
    assert (back > 128) == (theme == "light")


NOTE = "() => app.graph.nodes.find((node) => node.type === 'MarkdownNote').widgets[0].value"


def test_notes_of_examples_are_in_the_language_of_the_page_until_they_are_saved(open_comfyui):
    for language, title in (("en", "## Upscale a picture x4"), ("zh", "## 将图像放大 4 倍")):
        page = open_comfyui("dark", language)
        comfyui.load(page, comfyui.example("upscale_picture"))
        assert page.evaluate(NOTE).startswith(title)
        saved = page.evaluate("() => app.graph.serialize()")
        assert not any("swin2sr_note" in node["properties"] for node in saved["nodes"])


def test_the_example_workflow(open_comfyui):
    page = open_comfyui()
    comfyui.load(page, comfyui.example("upscale_picture"))
    upscaler = page.evaluate("app.graph.nodes.find((n) => n.type === 'Swin2SR_TiledUpscale').id")
    part(page, upscaler, "tbody tr").wait_for()
    queue(page)
    part(page, upscaler, ".swin2sr-report").wait_for(timeout=60_000)


def test_inside_a_subgraph_the_node_is_found(open_comfyui):
    """By the ids that messages carry there: "7:5"."""
    found = open_comfyui().evaluate(
        """async () => {
          const { nodeOfExecution } = await import('/extensions/swin2sr/js/graph.js')
          const inner = { getNodeById: (id) => (Number(id) === 5 ? { name: 'five' } : null) }
          const outer = { getNodeById: (id) => (Number(id) === 7 ? { subgraph: inner } : null) }
          const find = (graph, id) => nodeOfExecution(graph, id)?.name ?? null
          return [find(outer, '7:5'), find(outer, '8:5'), find(null, '1')]
        }"""
    )
    assert found == ["five", None, None]


def test_a_hundred_plans_at_once(server):
    url, base = server
    log = base / "log.txt"
    before = len(log.read_text())

    def ask(number):
        width = 64 + number if number % 3 else 0
        query = urllib.parse.urlencode({"width": width, "height": 64, "precision": "fp32"})
        try:
            with comfyui_server.OPENER.open(f"{url}/swin2sr/plan?{query}", timeout=120) as reply:
                return json.load(reply)["rows"][0]["output"] == [4 * width, 256]
        except urllib.error.HTTPError as error:
            return number % 3 == 0 and error.code == 400 and "error" in json.load(error)

    with ThreadPoolExecutor(100) as pool:
        assert all(pool.map(ask, range(100)))
    assert "Traceback" not in log.read_text()[before:]


def test_nothing_of_compare_is_outside_of_the_temporary_folder(server):
    """What the page shows, anyone with the server's address can see: it is that picture alone."""
    url, base = server
    files = sorted((base / "temp").glob("swin2sr_compare_*.png"))
    if not files:
        pytest.skip("no run before")
    query = urllib.parse.urlencode({"filename": files[0].name, "type": "temp"})
    with comfyui_server.OPENER.open(f"{url}/view?{query}") as reply:
        Image.open(io.BytesIO(reply.read())).verify()


def test_without_the_page_everything_works(server):
    """By the API alone: no client that listens."""
    url, _ = server
    api = json.loads(
        (comfyui.ROOT / "example_workflows" / "api" / "upscale_picture.json").read_text("utf-8")
    )
    request = urllib.request.Request(
        f"{url}/prompt", json.dumps({"prompt": api}).encode(), {"Content-Type": "application/json"}
    )
    with comfyui_server.OPENER.open(request) as reply:
        prompt = json.load(reply)["prompt_id"]
    for _ in range(300):
        with comfyui_server.OPENER.open(f"{url}/history/{prompt}") as reply:
            history = json.load(reply)
        if history:
            break
        time.sleep(0.2)
    assert history[prompt]["status"]["status_str"] == "success"
