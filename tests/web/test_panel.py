"""The panel in the nodes: plans, runs, reports, downloads; in both languages and themes."""

import re

import numpy as np
import pytest

from .conftest import LANGUAGES, ROOT, THEMES, pixels, translations

TIMES = "\N{MULTIPLICATION SIGN}"

ROW = {
    "width": 512,
    "height": 384,
    "frames": 1,
    "precision": "bf16",
    "output": [2048, 1536],
    "strategy": "whole",
    "forecast_bytes": 134 << 20,
    "host_bytes": 0,
    "seconds": 75.2,
    "seconds_are_rough": False,
    "notes": [],
}
STATE = {
    "model": "m",
    "phase": "absent",
    "done": 0,
    "total": 0,
    "pace": 0,
    "checked": "",
    "message": "",
}
DOWNLOAD = {
    "url": "https://example.org/m.pth",
    "file_name": "m.pth",
    "folder": "/models/swin2sr",
    "licence": "MIT",
    "checked": True,
    "state": STATE,
}
START = {
    "kind": "start",
    "node": "3",
    "prompt": "p",
    "model": "compact-x4",
    "device": "cpu",
    "precision": "bf16",
    "strategy": "whole",
    "frames": 2,
    "input": [512, 512],
    "output": [2048, 2048],
    "forecast_bytes": 100 << 20,
    "expected_seconds": 40.0,
}
PROGRESS = {
    "kind": "progress",
    "fraction": 0.425,
    "frame": 1,
    "frames": 2,
    "seconds": 20.0,
    "left_seconds": 27.0,
    "memory_bytes": 90 << 20,
}
DONE = START | {
    "kind": "done",
    "seconds": 41.5,
    "used_strategy": "staged",
    "memory_bytes": 98 << 20,
    "memory_of": "process",
    "fallbacks": [],
    "notes": [],
    "text": "the whole\nreport",
}


def answer(*rows, download=None, name="m"):
    return {
        "model": {"choice": name, "name": name, "bytes": 5 << 20, "download": download},
        "device": "cpu",
        "free_bytes": 8 << 30,
        "precision": "bf16",
        "rows": list(rows) or [ROW],
    }


@pytest.fixture
def panel(page):
    """A panel on the page as `panel`; `asked` and `done` are what it did, `reply` what it gets."""
    return make_panel(page)


def make_panel(page, reply=None):
    page.evaluate(
        """async (reply) => {
          const { Panel } = await import('/web/js/panel.js')
          Object.assign(window, { asked: [], done: [], reply, question: { model: 'm' } })
          window.panel = new Panel({
            askPlan: async (query) => (asked.push(query), structuredClone(window.reply)),
            cancelRun: () => done.push('cancel'),
            startDownload: (name) => done.push(`start ${name}`),
            stopDownload: (name) => done.push(`stop ${name}`)
          }, 'plan', () => question)
          place.replaceChildren(panel.root)
          await panel.refresh()
        }""",
        reply or answer(),
    )
    return page.locator(".swin2sr-panel")


def refresh(page, reply, anyway=True):
    page.evaluate("async ([r, a]) => { window.reply = r; await panel.refresh(a) }", [reply, anyway])


def about(page, what):
    """The panel in the node that decides on "model", "plan" or "faces"."""
    page.evaluate("what => { panel.about = what }", what)


def run(page, *messages):
    page.evaluate("messages => messages.forEach((each) => panel.onRun(each))", list(messages))


# -- the plan ------------------------------------------------------------------------------------


def test_a_plan_as_a_table(page, panel):
    text = panel.inner_text()
    for part in (
        f"512{TIMES}384 → 2048{TIMES}1536",
        "whole",
        "134 MB",
        "1 min 15 s",
        "8.00 GB free",
    ):
        assert part in text
    assert page.locator("th").all_inner_texts() == ["Size", "Strategy", "Memory", "Time"]


def test_time_is_not_claimed_before_it_is_known(page, panel):
    refresh(page, answer(ROW | {"seconds": None}))
    assert page.locator("td").last.inner_text() == "–"  # noqa: RUF001
    refresh(page, answer(ROW | {"seconds_are_rough": True}))
    assert page.locator("td").last.inner_text().startswith("≈")


def test_frames_problems_notes_and_errors(page, panel):
    refresh(page, answer(ROW | {"frames": 24, "notes": ["tile 100 became 104"]}))
    assert f"512{TIMES}384 {TIMES} 24" in panel.inner_text()
    assert "tile 100 became 104" in panel.inner_text()
    problem = {"width": 9, "height": 9, "frames": 1, "precision": "fp32", "problem": "too little"}
    refresh(page, answer(problem))
    assert "too little" in page.locator(".swin2sr-problem").inner_text()
    refresh(page, {"error": "fp8 is unknown"})
    assert panel.inner_text() == "fp8 is unknown"


def test_it_asks_again_when_the_question_changes_and_only_then(page, panel):
    for _ in range(3):
        page.evaluate("panel.refresh()")
    assert len(page.evaluate("asked")) == 1
    page.evaluate("question = { model: 'm', scale: 2 }; panel.refresh()")
    assert page.evaluate("asked")[1:] == [{"model": "m", "scale": 2}]
    page.evaluate("question = null; panel.refresh()")
    assert "Connect Load Swin2SR" in panel.inner_text()


def test_a_late_answer_to_an_old_question_is_not_shown(page, panel):
    about(page, "model")
    page.evaluate(
        """async () => {
          const answers = []
          panel.page.askPlan = () => new Promise((done) => answers.push(done))
          question = { model: 'old' }
          const first = panel.refresh()
          question = { model: 'new' }
          const second = panel.refresh()
          const named = (name) => ({ ...reply, model: { ...reply.model, name } })
          answers[1](named('new'))
          answers[0](named('old'))
          await Promise.all([first, second])
        }"""
    )
    assert "new" in panel.inner_text()
    assert "old" not in panel.inner_text()


def test_a_server_that_does_not_answer(page, panel):
    page.evaluate(
        "panel.page.askPlan = async () => { throw new TypeError('x') }; panel.refresh(true)"
    )
    assert "does not answer" in panel.inner_text()


def test_names_are_text_and_never_markup(page, panel):
    evil = "<img src=x onerror='document.title=1'>"
    refresh(page, answer(ROW | {"notes": [evil]}, name=evil, download=DOWNLOAD | {"url": evil}))
    run(page, START, DONE | {"model": evil, "text": evil, "fallbacks": [evil]})
    assert page.locator("img").count() == 0
    assert evil in panel.inner_text()
    assert page.title() == ""


# -- runs ----------------------------------------------------------------------------------------


def test_progress_time_left_and_memory(page, panel):
    run(page, START | {"device": "cuda:0"}, PROGRESS)
    bar = page.get_by_role("progressbar")
    assert bar.get_attribute("aria-valuenow") == "42"
    text = panel.inner_text()
    for part in ("42 %", "picture 1 of 2", "27 s left", "90.0 MB used, 100 MB forecast"):
        assert part in text
    run(page, START, PROGRESS)
    assert "the process grew by 90.0 MB" in panel.inner_text()
    assert "forecast" not in panel.inner_text(), "that is of tensors, not of a process"
    assert not page.locator("table").is_visible()
    page.get_by_role("button", name="Cancel").click()
    assert page.evaluate("done") == ["cancel"]


def test_a_page_opened_in_the_middle_of_a_run(page, panel):
    run(page, PROGRESS)
    assert "42 %" in panel.inner_text()


@pytest.mark.parametrize(
    ("count", "skipped", "sentence"),
    [
        (0, 0, "No face found · 4.0 s"),
        (1, 0, "1 face refined · 4.0 s"),
        (3, 2, "3 faces refined · 2 left as they are · 4.0 s"),
    ],
)
def test_faces_are_counted(count, skipped, sentence, page, panel):
    about(page, "faces")
    told = {"kind": "faces", "frames": 1, "count": count, "skipped": skipped, "fallbacks": []}
    run(page, {"kind": "progress", "fraction": 0.5, "frame": 1, "frames": 1})
    assert "50 %" in panel.inner_text()
    run(page, told | {"seconds": 4})
    assert page.locator("[role=status]").inner_text() == sentence
    page.get_by_role("button", name="Close").click()
    assert page.locator("[role=status]").count() == 0


def test_steps_down_are_shown_while_it_runs(page, panel):
    run(page, START, PROGRESS, {"kind": "fallback", "sentence": "out of memory: smaller bands"})
    assert page.locator(".swin2sr-fallbacks li").all_inner_texts() == [
        "out of memory: smaller bands"
    ]
    run(page, START)
    assert page.locator(".swin2sr-fallbacks li").count() == 0


def test_the_report_and_back_to_the_plan(page, panel):
    run(page, START, PROGRESS, DONE)
    text = panel.inner_text()
    for part in (
        f"512{TIMES}512 {TIMES} 2 → 2048{TIMES}2048",
        "42 s (40 s expected)",
        "the process grew by 98.0 MB, pictures included",
        "staged, bf16, compact-x4, cpu",
        "Everything went as planned.",
    ):
        assert part in text
    assert page.get_by_role("progressbar").count() == 0
    refresh(page, answer())
    assert not page.locator("table").is_visible()
    page.get_by_text("The whole report", exact=True).click()
    assert page.locator("pre").inner_text() == "the whole\nreport"
    page.get_by_role("button", name="Close").click()
    assert page.locator("table").is_visible()


def test_what_did_not_go_as_planned_is_in_the_report(page, panel):
    run(page, START, DONE | {"fallbacks": ["went down to staged"], "notes": ["a note"]})
    assert page.locator(".swin2sr-fallbacks li").all_inner_texts() == [
        "went down to staged",
        "a note",
    ]
    assert "as planned" not in panel.inner_text()


def test_cancelled_and_failed(page, panel):
    run(page, START, PROGRESS)
    page.evaluate("panel.onStopped('Cancelled.')")
    assert "Cancelled." in panel.inner_text()
    assert page.get_by_role("progressbar").count() == 0
    assert page.locator("table").is_visible()
    page.evaluate("panel.onStopped('nothing fits', true)")
    assert page.locator(".swin2sr-problem").inner_text() == "nothing fits"


# -- downloads -----------------------------------------------------------------------------------


def state(page, **changes):
    page.evaluate("state => panel.onDownload(state)", STATE | changes)


def test_a_download_from_beginning_to_end(page, panel):
    about(page, "model")
    refresh(page, answer(download=DOWNLOAD))
    assert "m is not on this machine (5.00 MB)" in panel.inner_text()
    page.get_by_role("button", name="Download m now").click()
    state(page, phase="running", done=1 << 20, total=4 << 20, pace=1 << 20)
    assert page.get_by_role("progressbar").get_attribute("aria-valuenow") == "25"
    assert "25 % · 1.00 MB of 4.00 MB · 3.0 s left" in panel.inner_text()
    page.get_by_role("button", name="Cancel the download of m").click()
    assert page.evaluate("done") == ["start m", "stop m"]
    state(page, phase="checking")
    assert "checksum" in panel.inner_text()
    page.evaluate("reply => { window.reply = reply }", answer())
    state(page, phase="done", checked="catalog")
    page.wait_for_function("!document.querySelector('.swin2sr-download')")
    assert "its sha256 is the one expected" in panel.inner_text()
    state(page, phase="done", checked="record")
    assert "Nobody has published its sha256" in panel.inner_text()


def test_a_failed_download_says_why_and_what_to_do(page, panel):
    about(page, "model")
    refresh(page, answer(download=DOWNLOAD))
    state(page, phase="failed", message="no network")
    assert page.get_by_role("alert").inner_text() == "no network"
    assert page.get_by_label("Address of the file").input_value() == DOWNLOAD["url"]
    assert page.get_by_label("Folder for the file").input_value() == DOWNLOAD["folder"]
    assert page.get_by_role("button", name="Download m now").is_visible()
    state(page, phase="stopped")
    assert "What has arrived is kept" in panel.inner_text()


def test_downloads_of_other_models_are_no_concern(page, panel):
    about(page, "model")
    refresh(page, answer(download=DOWNLOAD))
    state(page, model="other", phase="running")
    assert page.get_by_role("progressbar").count() == 0


# -- size, themes, languages ---------------------------------------------------------------------


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_view_is_readable_in_every_theme_and_language(theme, language, open_page):
    """Text stands out from what is behind it, and none of it is the name of a missing text."""
    page = open_page(theme, language)
    panel = make_panel(page, answer(ROW, ROW | {"problem": "no"}, download=DOWNLOAD))
    views = [[], [START, PROGRESS], [START, DONE]]
    for messages in views:
        run(page, *messages)
        text = panel.inner_text()
        assert "_" not in text.replace("swin2sr_", "")
        assert bool(re.search(r"[\u4e00-\u9fff]", text)) == (language == "zh")
        brightness = pixels(panel).mean(axis=-1)
        back = np.median(brightness)
        assert np.abs(brightness - back).max() > 120
        assert (back > 128) == (theme == "light")


STEP = (
    "out of memory with whole, bands of 8 windows (1.00 GB forecast); went on with the same again"
)
WORDS = {
    STEP: {
        "key": "stepped_down",
        "values": {"reason": "out of memory", "failed": "whole (1 GB)", "now": "the same again"},
    },
    "out of memory": {"key": "out_of_memory", "values": {}},
    "the same again": {"key": "same_again", "values": {}},
    "  measured peak: 3.00 GB": {"key": "report_peak", "values": {"peak": "3.00 GB"}},
}


def test_what_the_server_says_is_worded_in_the_language_of_the_page(open_page):
    """English where the page has no words for it, and sentences within sentences."""
    page = open_page(language="zh")
    panel = make_panel(page)
    text = "no words for this\n  measured peak: 3.00 GB"
    run(page, START, DONE | {"fallbacks": [STEP], "text": text, "words": WORDS})
    said = "内存不足：whole (1 GB)；改为同样的方式重试"  # noqa: RUF001
    assert panel.locator("li").inner_text() == said
    assert panel.locator("pre").text_content() == "no words for this\n  实测峰值：3.00 GB"  # noqa: RUF001
    run(page, {"kind": "failed", "words": {"it broke": {"key": "model_unreadable", "values": {}}}})
    page.evaluate("panel.onStopped('it broke', true)")
    said = "模型文件已无法读取；请选择其他模型"  # noqa: RUF001
    assert panel.locator(".swin2sr-closable p").inner_text() == said


# ComfyUI's own themes: comfy-input-bg, input-text, descrip-text, error-text, fg-color.
PALETTES = {
    "dark": ("#222", "#ddd", "#999", "#ff4444", "#fff"),
    "light": ("#C9C9C9", "#222", "#444", "#F44336", "#222"),
    "arc": ("#2b2f38", "#ddd", "#b2b7bd", "#ff4444", "#fff"),
    "github": ("#161b22", "#bcc2c8", "#999", "#ff4444", "#e5eaf0"),
    "nord": ("#2e3440", "#bcc2c8", "#999", "#ff4444", "#e5eaf0"),
    "solarized": ("#002b36", "#93a1a1", "#586e75", "#dc322f", "#fdf6e3"),
}
NAMES = ("--comfy-input-bg", "--input-text", "--descrip-text", "--error-text", "--fg-color")

CONTRASTS = """() => {
  const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
  const light = (colour) => {
    pen.fillStyle = colour
    pen.fillRect(0, 0, 1, 1)
    const parts = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((each) => each / 255)
    const [r, g, b] = parts.map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
  }
  const back = (each) => {
    const own = getComputedStyle(each).backgroundColor
    return own === 'rgba(0, 0, 0, 0)' ? back(each.parentElement) : own
  }
  const own = (each) => [...each.childNodes].some((n) => n.nodeType === 3 && n.data.trim())
  return [...panel.root.querySelectorAll('*')].filter(own).map((each) => {
    const two = [light(getComputedStyle(each).color), light(back(each))]
    return [Math.max(...two) / Math.min(...two), each.textContent]
  })
}"""


@pytest.mark.parametrize("theme", PALETTES)
def test_text_is_readable_in_each_of_comfyuis_themes(theme, page):
    make_panel(page)
    style = ";".join(f"{n}:{v}" for n, v in zip(NAMES, PALETTES[theme], strict=True))
    page.evaluate("style => { document.documentElement.style.cssText = style }", style)
    seen = []
    for what in ("plan", "model"):
        about(page, what)
        refresh(page, answer(ROW, ROW | {"problem": "no"}, download=DOWNLOAD))
        seen += page.evaluate(CONTRASTS)
    run(page, START, PROGRESS, {"kind": "fallback", "sentence": "less"})
    seen += page.evaluate(CONTRASTS)
    run(page, DONE)
    seen += page.evaluate(CONTRASTS)
    assert len(seen) > 30
    assert [each for each in seen if each[0] < 4.5] == []


def test_texts_are_the_same_in_all_languages_and_all_are_used():
    tables = {language: table["swin2sr"] for language, table in translations().items()}
    english = tables["en"]
    for table in tables.values():
        assert list(table) == list(english)
        for key, text in table.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), (
                key
            )
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "web" / "js").glob("*.js"))
    wanted = set(re.findall(r"text\(\s*'(\w+)'", source))
    assert wanted <= set(english)
    assert [key for key in english if not used(key, source)] == []


def used(key, source):
    stem = key.rpartition("_")[0]
    return f"'{key}'" in source or f"`{stem}_$" in source


def test_no_address_of_another_host_is_in_the_page_part():
    for path in (ROOT / "web").rglob("*"):
        if path.suffix in (".js", ".css"):
            text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "://" not in text, path
