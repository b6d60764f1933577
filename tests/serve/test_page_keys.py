"""The page of a server with keys: it asks once, and then all works as without."""

import hashlib
import io

import pytest
from http_service import encoded, noise, serving
from PIL import Image

KEY = "a-key-of-the-tests"


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    keys = folder / "keys"
    keys.write_text(f"ann {hashlib.sha256(KEY.encode()).hexdigest()}\n")
    with serving(folder / "spool", "--api-keys", keys) as made:
        yield made


def give(page, key):
    page.get_by_role("dialog").get_by_role("textbox").fill(key)
    page.get_by_role("dialog").get_by_role("button").click()


def test_it_asks_once_and_all_works(open_page, locked, drop, saved):
    page = open_page(locked, refused=True)
    give(page, "another")
    page.get_by_text("This key is not known").wait_for()
    give(page, KEY)
    drop(page, encoded(noise(40, 40)), "a.png", "b.png")
    page.get_by_role("button", name="Upscale").click()
    one = saved(page, page.get_by_role("button", name="Download", exact=True).first)
    assert Image.open(io.BytesIO(one)).size == (160, 160)
    assert saved(page, page.get_by_role("button", name="Download all (ZIP)"))[:2] == b"PK"
    page.get_by_role("button", name="Compare").first.click()
    page.get_by_text("after 160\u00d7160").wait_for()
    page.reload()
    page.get_by_role("button", name="Download all (ZIP)").wait_for()
    assert page.get_by_role("dialog").count() == 0


def test_progress_is_heard_with_the_key(open_page, locked, drop):
    page = open_page(locked, refused=True)
    give(page, KEY)
    drop(page, encoded(noise(700, 700)), "a.png")
    with page.expect_request("**/events") as events:
        page.get_by_role("button", name="Upscale").click()
    assert events.value.header_value("x-api-key") == KEY
    page.locator("#jobs progress").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("status").get_by_text("Cancelled").wait_for()
