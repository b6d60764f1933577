"""Strangers' bytes: each is answered, nothing stays, and the next request is fine."""

import io

import pytest
from http_service import encoded, noise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

FRAMES = [noise(8, 8, seed) for seed in range(3)]
WHOLE = {
    "png": encoded(noise(12, 9)),
    "jpeg": encoded(noise(12, 9), "JPEG", progressive=True),
    "webp": encoded(noise(12, 9), "WEBP"),
    "tiff": encoded(noise(12, 9), "TIFF", compression="tiff_lzw"),
    "gif": encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
    "bmp": encoded(noise(12, 9), "BMP"),
}


@st.composite
def damaged(draw):
    data = bytearray(draw(st.sampled_from(list(WHOLE.values()))))
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.none() | st.integers(1, len(data)))
    return bytes(data[:cut]) + draw(st.binary(max_size=20))


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(damaged())
def test_damaged_pictures_are_answered(server, data):
    answer = server.client.post("/upscale?scale=1&max_input_side=64", files={"image": data})
    assert answer.status_code in (200, 413, 422), answer.text
    if answer.status_code == 200:
        Image.open(io.BytesIO(answer.content)).verify()
    else:
        assert str(server.spool) not in answer.text and ".in" not in answer.json()["detail"]


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.binary(max_size=300), st.sampled_from(["b", "x y", "", "\x7f"]))
def test_forms_that_are_none(server, body, boundary):
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    answer = server.client.post("/upscale", content=body, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text


def test_others_formats_are_not_opened(server):
    for kind in ("ICO", "PPM", "TGA", "PCX"):
        answer = server.client.post("/upscale", files={"image": encoded(noise(8, 8), kind)})
        assert answer.status_code == 422, kind
        assert "PNG, JPEG" in answer.json()["detail"]


@pytest.fixture(scope="module", autouse=True)
def nothing_stays(server):
    yield
    assert not list((server.spool / "uploads").iterdir())
    answer = server.client.post("/upscale", files={"image": WHOLE["png"]})
    assert answer.status_code == 200
