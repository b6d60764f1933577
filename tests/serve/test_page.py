"""The page in a real browser, before a real server: from a dropped picture to the file saved."""

import io
import zipfile

from http_service import encoded, noise

TIMES = "\u00d7"


def planned(before, after):
    """What the page says of a square picture's sides."""
    return f"{before} {TIMES} {before} → {after} {TIMES} {after}"


def test_a_dropped_picture_becomes_the_file_that_upscale_answers(open_page, server, drop, saved):
    picture, page = encoded(noise(32, 32)), open_page(server)
    drop(page, picture, "a.png")
    page.get_by_text(planned(32, 128)).wait_for()
    page.get_by_role("button", name="Upscale").click()
    button = page.get_by_role("button", name="Download", exact=True)
    expected = server.client.post("/upscale", files={"file": ("a.png", picture)}).content
    assert saved(page, button) == expected


def test_the_divider_is_that_of_the_nodes_and_follows_the_language(open_page, server, drop):
    page = open_page(server)
    drop(page, encoded(noise(300, 300)), "a.png")
    page.get_by_label("Enlarge").select_option("2")
    page.get_by_role("button", name="Upscale").click()
    for shown in (f"before 300{TIMES}300", f"after 600{TIMES}600"):  # one is compared at once
        page.get_by_text(shown).wait_for()
    page.get_by_role("slider", name="Divider between before and after").press("Home")
    page.locator("[aria-valuenow='0']").wait_for()
    page.get_by_role("button", name="Actual size").click()
    page.get_by_text("100 %", exact=True).wait_for()
    page.get_by_role("button", name="中文").click()
    slider = page.get_by_role("slider", name="前后对比的分隔线")
    slider.and_(page.locator("[aria-valuenow='0']")).wait_for()  # the view stays where it was
    page.get_by_role("button", name="对比", exact=True).click()
    assert page.locator(".compare").count() == 0


def test_several_pictures_come_as_zip_and_a_reload_finds_them(open_page, server, drop, saved):
    page = open_page(server)
    drop(page, encoded(noise(16, 16)), "a.png", "b.png")
    page.get_by_label("Enlarge").select_option("2")
    page.get_by_text(planned(16, 32)).nth(1).wait_for()
    page.get_by_role("button", name="Upscale").click()
    page.locator("#jobs .card").wait_for()
    page.reload()
    button = page.get_by_role("button", name="Download all (ZIP)")
    button.wait_for()
    with zipfile.ZipFile(io.BytesIO(saved(page, button))) as archive:
        assert len(archive.namelist()) == 2
    page.get_by_role("button", name="Put away").click()
    page.reload()
    page.wait_for_selector("#model option", state="attached")
    assert page.locator("#jobs .card").count() == 0


def test_the_sentence_of_what_is_no_picture_is_shown(open_page, server, drop):
    page = open_page(server, refused=True)
    drop(page, b"no picture", "a.png")
    refusal = server.client.post("/plan", files={"file": ("a.png", b"no picture")}).json()
    page.get_by_text(refusal["detail"]).wait_for()


def test_sentences_of_the_server_are_in_the_page_s_language(open_page, server, drop):
    page = open_page(server, "zh-CN", refused=True)
    drop(page, b"no picture", "a.png")
    page.get_by_text("此图片 不是这里能读取的图片").wait_for()
    page.get_by_role("button", name="English").click()
    page.get_by_text("the picture is not a picture of a kind that is read here").wait_for()


def test_a_job_that_is_gone_says_so(open_page, server):
    page = open_page(server, refused=True)
    page.evaluate("sessionStorage.setItem('swin2sr-jobs', JSON.stringify(['0'.repeat(32)]))")
    page.reload()
    page.get_by_text("This result is gone").wait_for()


def test_a_running_job_is_cancelled(open_page, server, drop):
    page = open_page(server)
    drop(page, encoded(noise(1400, 1400)), "large.png")
    page.get_by_role("button", name="Upscale").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("status").get_by_text("Cancelled").wait_for()


def test_chinese_fits_a_telephone_and_switches_to_english(open_page, server, drop):
    page = open_page(server, "zh-CN", 360)
    drop(page, encoded(noise(16, 16)), "a" * 80 + ".png")
    page.get_by_text(planned(16, 64)).wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("button", name="English").click()
    page.get_by_role("button", name="Upscale").wait_for()
    assert "exact: yes" in page.locator("#draft li").inner_text()
