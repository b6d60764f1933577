"""The page with `?local=1`: the model in a real browser, and nothing that leaves it."""

import io
import os
from pathlib import Path

import httpx
import numpy as np
import pytest
from browser import opened_browser, quiet_pages
from http_service import encoded, noise, serving
from PIL import Image

from swin2sr_headless.cli.main import main


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    """A folder for --local-assets; skips without onnxruntime-web."""
    package = os.environ.get("ONNXRUNTIME_WEB")
    if not package:
        pytest.skip("no onnxruntime-web (set ONNXRUNTIME_WEB to the npm package's folder dist)")
    folder = tmp_path_factory.mktemp("assets")
    for path in Path(package).glob("ort*"):
        if path.suffix in (".mjs", ".wasm"):
            (folder / path.name).symlink_to(path.resolve())
    assert main(["export", "compact-x4", "-o", str(folder / "model.onnx")]) == 0
    return folder


@pytest.fixture(scope="module")
def local_server(assets, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("spool"), "--local-assets", assets) as made:
        yield made


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def page(browser, local_server):
    """The page; every request that it or its threads send must be a GET of our own files."""
    sent = []

    def asked(request):
        if request.method != "GET" or request.post_data:
            sent.append(f"{request.method} {request.url}")

    ours = (local_server.address, f"blob:{local_server.address}")
    with quiet_pages(browser) as new_page:
        page = new_page(ours, accept_downloads=True)
        page.context.on("request", asked)
        page.goto(f"{local_server.address}/?local=1")
        page.wait_for_selector("#model option", state="attached")
        yield page
    assert not sent


def upscale(page, data, name="a.png"):
    page.set_input_files("#files", {"name": name, "mimeType": "image/png", "buffer": data})
    page.get_by_role("button", name="Upscale").click()


def saved(page):
    """What *Download* gives, once it is there."""
    button = page.get_by_role("button", name="Download", exact=True)
    button.wait_for(timeout=60_000)
    with page.expect_download() as download:
        button.click()
    return download.value


def test_it_equals_the_engine_and_works_with_the_network_cut(page, assets, tmp_path):
    upscale(page, encoded(noise(9, 7)))  # the first picture loads the model
    saved(page)
    page.get_by_role("button", name="Put away").click()
    page.context.set_offline(True)
    picture = encoded(noise(150, 61))
    upscale(page, picture)
    made = Image.open(io.BytesIO(saved(page).path().read_bytes()))
    (tmp_path / "in.png").write_bytes(picture)
    options = ["--strategy", "tiled", "--tile", "128", "--overlap", "16"]
    expected = tmp_path / "out.png"
    words = ["upscale", tmp_path / "in.png", "--model", assets / "model.onnx", "-o", expected]
    assert main([*map(str, words), *options]) == 0
    pixels = [np.asarray(image, np.int16) for image in (made.convert("RGB"), Image.open(expected))]
    assert pixels[0].shape == pixels[1].shape == (244, 600, 3)
    assert np.abs(pixels[0] - pixels[1]).max() <= 1


def test_a_cancelled_picture_ends_at_once_and_the_next_one_is_computed(page):
    upscale(page, encoded(noise(600, 600)), "large.png")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("status").get_by_text("Cancelled").wait_for()
    upscale(page, encoded(noise(8, 8)), "small.png")
    assert saved(page).suggested_filename == "small_x4.png"


def test_progress_is_told_tile_by_tile(page):
    upscale(page, encoded(noise(8, 900)))
    page.get_by_text("Upscaling").nth(1).wait_for(timeout=60_000)
    page.get_by_role("button", name="Cancel").click()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (encoded(Image.new("RGBA", (8, 8), (9, 9, 9, 9))), "with transparency"),
        (b"no picture", "cannot read this file"),
    ],
    ids=("transparent", "no picture"),
)
def test_what_it_cannot_compute_is_said(page, data, sentence):
    upscale(page, data)
    page.locator("#jobs").get_by_text(sentence).wait_for(timeout=60_000)


def test_only_threads_may_compile_and_only_this_page_is_isolated(local_server):
    def headers(path):
        return httpx.get(local_server.address + path).headers

    plain, page, thread = (headers(path) for path in ("/", "/?local=1", "/page/local_worker.js"))
    for answer in (plain, page):
        assert "wasm-unsafe-eval" not in answer["Content-Security-Policy"]
    assert "script-src 'self' 'wasm-unsafe-eval'" in thread["Content-Security-Policy"]
    assert "Cross-Origin-Opener-Policy" not in plain
    assert page["Cross-Origin-Embedder-Policy"] == "require-corp"


def test_no_other_file_of_the_folder_is_served(local_server, assets):
    (assets / "private.txt").write_text("mine")
    for name in ("private.txt", "%2e%2e/private.txt", "model.onnx.json"):
        assert local_server.client.get(f"/local/{name}").status_code == 404


def test_without_assets_the_page_says_so(browser, server):
    page = browser.new_page()
    page.goto(f"{server.address}/?local=1")
    page.get_by_text("it needs --local-assets").wait_for()
    page.close()


def test_what_the_folder_lacks_is_said_at_the_start(tmp_path, assets, capsys):
    words = ["serve", "--port", "0", "--spool", str(tmp_path / "spool"), "--local-assets"]
    assert main([*words, str(tmp_path)]) == 2
    assert "lacks ort.wasm.min.mjs" in capsys.readouterr().err
    for path in assets.glob("ort*"):
        (tmp_path / path.name).symlink_to(path.resolve())
    size = ("--size", "16x16", "--overwrite")
    assert main(["export", "compact-x4", "-o", str(tmp_path / "model.onnx"), *size]) == 0
    assert main([*words, str(tmp_path)]) == 2
    assert "must be 3 and dynamic" in capsys.readouterr().err
