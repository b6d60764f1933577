"""The page in a real browser, before a real server: from a dropped picture to the file saved."""

import base64
import io
import zipfile

import pytest
from browser import opened_browser
from http_service import encoded, noise

DROP = """([names, data]) => {
  const transfer = new DataTransfer()
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0))
  for (const name of names) transfer.items.add(new File([bytes], name, { type: 'image/png' }))
  const event = new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
  document.getElementById('drop').dispatchEvent(event)
}"""


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def open_page(browser, server):
    """(language, width) -> the page, which may neither complain nor call another host.

    Browsers log every answer of an error themselves: `refused` says that one is meant.
    """
    complaints, contexts = [], []

    def open_(language="en", width=800, refused=False):
        context = browser.new_context(
            locale=language, viewport={"width": width, "height": 700}, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                None
                if refused and said.text.startswith("Failed to load")
                else complaints.append(said.text)
            ),
        )
        ours = (server.address, f"blob:{server.address}")
        page.on("request", lambda r: None if r.url.startswith(ours) else complaints.append(r.url))
        page.goto(server.address)
        page.wait_for_selector("#model option", state="attached")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not complaints


def drop(page, data, *names):
    page.evaluate(DROP, [list(names), base64.b64encode(data).decode()])


def planned(before, after):
    """What the page says of a square picture's sides."""
    return f"{before} \u00d7 {before} → {after} \u00d7 {after}"


def saved(page, link):
    with page.expect_download() as download:
        link.click()
    return download.value.path().read_bytes()


def test_a_dropped_picture_becomes_the_file_that_upscale_answers(open_page, server):
    picture, page = encoded(noise(32, 32)), open_page()
    drop(page, picture, "a.png")
    page.get_by_text(planned(32, 128)).wait_for()
    page.get_by_role("button", name="Upscale").click()
    link = page.get_by_role("link", name="Download", exact=True)
    expected = server.client.post("/upscale", files={"file": ("a.png", picture)}).content
    assert saved(page, link) == expected
    # One picture is compared at once: what is to be seen are both, the divider moves by keys.
    page.wait_for_function(
        "[...document.querySelectorAll('.pair img')].map((i) => i.naturalWidth).join() == '128,32'"
    )
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    assert page.locator(".line").evaluate("(line) => line.style.left") == "0%"
    page.get_by_role("button", name="Zoom 1:1").click()
    assert page.locator(".pair").bounding_box()["width"] == 128


def test_several_pictures_come_as_zip_and_a_reload_finds_them(open_page):
    page = open_page()
    drop(page, encoded(noise(16, 16)), "a.png", "b.png")
    page.get_by_label("Enlarge").select_option("2")
    page.get_by_text(planned(16, 32)).nth(1).wait_for()
    page.get_by_role("button", name="Upscale").click()
    page.locator("#jobs .card").wait_for()
    page.reload()
    link = page.get_by_role("link", name="Download all (ZIP)")
    link.wait_for()
    with zipfile.ZipFile(io.BytesIO(saved(page, link))) as archive:
        assert len(archive.namelist()) == 2
    page.get_by_role("button", name="Put away").click()
    page.reload()
    page.wait_for_selector("#model option", state="attached")
    assert page.locator("#jobs .card").count() == 0


def test_the_sentence_of_what_is_no_picture_is_shown(open_page, server):
    page = open_page(refused=True)
    drop(page, b"no picture", "a.png")
    refusal = server.client.post("/plan", files={"file": ("a.png", b"no picture")}).json()
    page.get_by_text(refusal["detail"]).wait_for()


def test_a_job_that_is_gone_says_so(open_page):
    page = open_page(refused=True)
    page.evaluate("sessionStorage.setItem('swin2sr-jobs', JSON.stringify(['0'.repeat(32)]))")
    page.reload()
    page.get_by_text("This result is gone").wait_for()


def test_a_running_job_is_cancelled(open_page):
    page = open_page()
    drop(page, encoded(noise(1400, 1400)), "large.png")
    page.get_by_role("button", name="Upscale").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("status").get_by_text("Cancelled").wait_for()


def test_chinese_fits_a_telephone_and_switches_to_english(open_page):
    page = open_page("zh-CN", 360)
    drop(page, encoded(noise(16, 16)), "a" * 80 + ".png")
    page.get_by_text(planned(16, 64)).wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("button", name="English").click()
    page.get_by_role("button", name="Upscale").wait_for()
    assert "exact: yes" in page.locator("#draft li").inner_text()
