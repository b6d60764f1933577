"""What the spool holds: within its quota, and gone after --keep, which the page says."""

import io
import time

import pytest
from http_service import encoded, noise, serving
from PIL import Image
from small_disk import filled, small_disk


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory):
    """A server that keeps little, and not for long."""
    options = ["--spool-quota", "400kB", "--keep", "2"]
    with serving(tmp_path_factory.mktemp("spool"), *options) as made:
        yield made


def test_after_keep_a_result_is_gone_and_the_page_says_so(forgetful, open_page, drop):
    page = open_page(forgetful, refused=True)
    drop(page, encoded(noise(16, 16)), "a.png", "b.png")
    page.get_by_role("button", name="Upscale").click()
    download = page.get_by_role("button", name="Download all (ZIP)")
    download.wait_for()
    picture = {"image": encoded(noise(8, 8))}
    answer = forgetful.client.post("/upscale?response=json", files=picture)
    while (found := forgetful.client.get(answer.json()["result"])).status_code == 200:
        time.sleep(0.1)
    assert found.json()["detail"].startswith("there is no such result")
    while list((forgetful.spool / "results").iterdir()):
        time.sleep(0.1)
    download.click()
    page.get_by_text("This result is gone").wait_for()


def test_beyond_the_quota_nothing_is_taken_until_there_is_room(forgetful):
    picture = encoded(noise(64, 64))
    statuses = []
    while not statuses or statuses[-1] == 200:
        answer = forgetful.client.post("/upscale", files={"image": picture})
        statuses.append(answer.status_code)
    assert statuses[-1] == 503 and len(statuses) > 1
    assert answer.json()["type"] == "urn:swin2sr:spool-full"
    assert int(answer.headers["retry-after"]) > 0
    while forgetful.client.post("/upscale", files={"image": picture}).status_code != 200:
        time.sleep(0.1)


def test_results_come_in_parts(server, png):
    whole = server.client.post("/upscale?response=json", files={"image": png})
    address = whole.json()["result"]
    picture = server.client.get(address).content
    part = server.client.get(address, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, picture[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(picture)}"
    rest = server.client.get(address, headers={"range": f"bytes={len(picture) - 5}-"})
    assert rest.content == picture[-5:]
    beyond = server.client.get(address, headers={"range": f"bytes={len(picture)}-"})
    assert beyond.status_code == 416


def test_all_pages_of_a_tiff_with_the_same_format(server):
    pages = [Image.new("RGB", (12, 8), colour) for colour in ("red", "blue", "green")]
    tiff = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    plan = server.client.post("/plan", files={"image": tiff}, data={"format": "same"}).json()
    assert (plan["picture"]["frames"], plan["picture"]["suffix"]) == (3, ".tif")
    answer = server.client.post("/upscale", files={"image": tiff}, data={"format": "same"})
    result = opened(answer.content)
    assert (result.format, getattr(result, "n_frames", 1), result.size) == ("TIFF", 3, (48, 32))
    one = server.client.post("/upscale", files={"image": tiff}, data={"format": "png"})
    assert one.status_code == 200 and opened(one.content).size == (48, 32)


def opened(data):
    return Image.open(io.BytesIO(data))


def test_on_a_full_disk_pictures_are_refused_and_jobs_wait(tmp_path, png):
    """Even a job whose picture was at work, and whose state SQLite cannot write any more."""
    with small_disk(tmp_path, "70m"), serving(tmp_path) as server:
        job = server.client.post("/jobs", files={"file": ("a.png", encoded(noise(200, 200)))})
        ballast = filled(tmp_path / "ballast")
        refused = server.client.post("/upscale", files={"file": ("b.png", png)})
        assert refused.status_code == 503 and refused.headers["Retry-After"]
        assert refused.json()["type"] == "urn:swin2sr:spool-full"
        where = f"/jobs/{job.json()['id']}"
        time.sleep(2)
        assert server.client.get(where).json()["ended"] is None
        ballast.unlink()
        assert server.client.post("/upscale", files={"file": ("b.png", png)}).status_code == 200
        while (found := server.client.get(where).json())["ended"] is None:
            time.sleep(0.1)
        assert found["state"] == "done"
        assert server.client.get(f"{where}/result").status_code == 200
