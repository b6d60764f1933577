"""The page's modules in a real browser: chromium by Playwright, on a page of a local server.

Both are optional: where one is missing, the tests that need it skip and say which.
"""

import contextlib
import http.server
import io
import json
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import comfyui_server
import numpy as np
import pytest
from browser import opened_browser, quiet_pages
from PIL import Image

from . import comfyui

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("en", "zh")

# The colours of ComfyUI's two themes, under the names that it gives them.
THEMES = {
    "dark": "--fg-color:#fff;--bg-color:#202020;--comfy-input-bg:#222;--input-text:#ddd;"
    "--descrip-text:#999;--border-color:#4e4e4e;--error-text:#ff4444",
    "light": "--fg-color:#222;--bg-color:#ddd;--comfy-input-bg:#fff;--input-text:#222;"
    "--descrip-text:#444;--border-color:#888;--error-text:#b00",
}

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<link rel="icon" href="data:,">
<style>html{{{theme}}} body{{margin:0;background:var(--bg-color)}}
#place{{width:400px;height:300px}}</style><div id="place"></div>
<script type="module">
import {{ addStyles }} from '/web/js/dom.js'
import {{ loadTexts }} from '/web/js/texts.js'
addStyles()
await loadTexts(async () => (await fetch('/i18n')).json(), () => '{language}')
window.place = document.getElementById('place')
window.ready = true
</script>"""


@pytest.fixture(scope="session")
def site() -> Iterator[SimpleNamespace]:
    """A server with the pack's files, test pages, and pictures that tests add to `pictures`."""
    pictures: dict[str, bytes] = {}
    handler = partial(Handler, pictures)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", pictures=pictures)
    server.shutdown()
    server.server_close()


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, pictures, *args):
        self.pictures = pictures
        super().__init__(*args, directory=str(ROOT))

    def do_GET(self):
        name = self.path.strip("/")
        if name.startswith("page-"):
            _, theme, language = name.split("-")
            page = PAGE.format(theme=THEMES[theme], language=language)
            self.give(page.encode(), "text/html")
        elif name == "i18n":
            self.give(json.dumps(translations()).encode(), "application/json")
        elif name in self.pictures:
            self.give(self.pictures[name], "image/png")
        elif name.startswith("web/"):
            super().do_GET()
        else:
            self.send_error(404)

    def give(self, content, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content)

    def log_message(self, *_args):
        pass


def translations() -> dict:
    """What ComfyUI's server makes of the pack's locales."""
    return {
        language: json.loads((ROOT / "locales" / language / "main.json").read_text("utf-8"))
        for language in LANGUAGES
    }


@pytest.fixture(scope="module")
def browser():
    """One chromium for a file of tests; its event loop ends with it, which others need."""
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def open_page(browser, site):
    """(theme, language) -> a page with an element `place`; it may not complain nor call out."""
    with quiet_pages(browser) as new_page:

        def open_(theme="dark", language="en", **options):
            page = new_page((site.url, "data:"), viewport={"width": 800, "height": 600}, **options)
            page.goto(f"{site.url}/page-{theme}-{language}")
            page.wait_for_function("window.ready")
            return page

        yield open_


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def picture(site):
    """(name, array H W C of 8 bits) -> the address of that picture."""

    def make(name, pixels):
        file = io.BytesIO()
        Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG")
        site.pictures[name] = file.getvalue()
        return f"/{name}"

    return make


@pytest.fixture
def flat(picture):
    """(name, colour, width, height) -> the address of a picture of one colour."""
    return lambda name, colour, width=64, height=48: picture(
        name, np.full((height, width, len(colour)), colour)
    )


def pixels(locator) -> np.ndarray:
    """H W 3: what of an element is to be seen."""
    with Image.open(io.BytesIO(locator.screenshot())) as image:
        return np.asarray(image.convert("RGB")).astype(int)


# -- a real ComfyUI ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory, browser):
    """(address, base folder) of a ComfyUI that lives as long as these tests."""
    if "COMFYUI_DIR" not in os.environ:
        pytest.skip("no real ComfyUI: set COMFYUI_DIR")
    base = tmp_path_factory.mktemp("comfyui")
    (base / "input").mkdir()
    noise = np.random.default_rng(0)
    for name, height, width in (("example.png", 72, 96), ("large.png", 640, 640)):
        noisy = noise.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(noisy).save(base / "input" / name)
    with comfyui_server.running(base) as url:
        yield url, base


@pytest.fixture
def open_comfyui(server, browser):
    """(theme, language, vue) -> ComfyUI's page; at the end it may not have complained of us."""
    with quiet_pages(browser, about="swin2sr") as new_page:
        yield partial(comfyui.open_in, new_page, server[0])
