"""AUTOMATIC1111's shape: base64 in JSON, with the field names that its clients send."""

import base64
import io

import pytest
from http_service import encoded, noise, serving
from PIL import Image

SINGLE = "/sdapi/v1/extra-single-image"


@pytest.fixture(scope="module")
def compatible(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("spool"), "--compat", "a1111") as made:
        yield made


def coded(picture):
    return base64.b64encode(picture).decode()


def opened(text):
    return Image.open(io.BytesIO(base64.b64decode(text, validate=True)))


def test_one_picture_as_its_clients_send_it(compatible, png):
    body = {
        "resize_mode": 0,
        "show_extras_results": True,
        "gfpgan_visibility": 0,
        "codeformer_visibility": 0,
        "codeformer_weight": 0,
        "upscaling_resize": 4,
        "upscaling_resize_w": 512,
        "upscaling_resize_h": 512,
        "upscaling_crop": True,
        "upscaler_1": "R-ESRGAN 4x+",
        "upscaler_2": "None",
        "extras_upscaler_2_visibility": 0,
        "upscale_first": False,
        "image": f"data:image/png;base64,{coded(png)}",
    }
    answer = compatible.client.post(SINGLE, json=body).json()
    same = compatible.client.post("/upscale", files={"image": png}).content
    assert base64.b64decode(answer["image"]) == same
    assert "no upscaler R-ESRGAN 4x+" in answer["html_info"]


def test_defaults_and_names_of_ours(compatible, png):
    answer = compatible.client.post(SINGLE, json={"image": coded(png), "upscaler_1": "compact-x4"})
    assert opened(answer.json()["image"]).size == (48, 32)
    assert "no upscaler" not in answer.json()["html_info"]
    assert [each["name"] for each in compatible.client.get("/sdapi/v1/upscalers").json()] == [
        "compact-x4"
    ]


def test_to_a_size(compatible, png):
    size = {"resize_mode": 1, "upscaling_resize_w": 72, "upscaling_resize_h": 48}
    answer = compatible.client.post(SINGLE, json={**size, "image": coded(png)})
    assert opened(answer.json()["image"]).size == (72, 48)
    other = {**size, "upscaling_resize_h": 72, "image": coded(png)}
    refused = compatible.client.post(SINGLE, json=other)
    assert refused.status_code == 422 and "upscaling_crop=false" in refused.json()["detail"]
    covered = compatible.client.post(SINGLE, json={**other, "upscaling_crop": False})
    assert opened(covered.json()["image"]).size == (108, 72)


def test_many_pictures_come_in_their_order(compatible, png):
    before = set((compatible.spool / "results").iterdir())
    images = [{"data": coded(each), "name": "a"} for each in (png, encoded(noise(8, 8)))]
    answer = compatible.client.post("/sdapi/v1/extra-batch-images", json={"imageList": images})
    assert [opened(each).size for each in answer.json()["images"]] == [(48, 32), (16, 16)]
    assert set((compatible.spool / "results").iterdir()) == before, "nobody asks for them again"


@pytest.mark.parametrize(
    "body",
    [
        {"image": "http://example.org/a.png"},
        {"image": ""},
        {"image": "bm8gcGljdHVyZQ=="},
        {},
        {"image": "", "gfpgan_visibility": 1},
        {"image": "", "upscaling_resize": 0},
        [],
    ],
)
def test_what_is_none_or_not_done_is_refused(compatible, body):
    answer = compatible.client.post(SINGLE, json=body)
    assert answer.status_code == 422 and len(answer.json()["detail"]) > 15, answer.text
    assert not list((compatible.spool / "uploads").iterdir())


def test_it_is_off_unless_asked_for(server):
    assert server.client.post(SINGLE, json={}).status_code == 404
