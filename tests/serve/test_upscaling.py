"""POST /upscale and /plan: the published forms, the command line's bytes, and clear refusals."""

import io
from pathlib import Path

import pytest
from http_service import encoded, noise
from PIL import Image

from swin2sr_headless.cli.main import main


def command_line(picture, tmp_path, suffix, *options):
    """What `swin2sr upscale` makes of the same bytes."""
    source, output = tmp_path / "a.in", tmp_path / f"b{suffix}"
    source.write_bytes(picture)
    words = ["upscale", source, "-o", output, "--device", "cpu", "--precision", "fp32"]
    assert main([*map(str, words), *options]) == 0
    return output.read_bytes()


@pytest.mark.parametrize("name", ["image", "file"])
def test_both_published_forms(server, png, name):
    answer = server.client.post("/upscale", files={name: ("a b.png", png)}, data={"scale": "4"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (96, 64)
    assert 'filename="a b_x4.png"' in answer.headers["content-disposition"]


def test_a_picture_that_came_as_text_is_none(server):
    answer = server.client.post("/upscale", files={"image": (None, b"photo.jpg")})
    assert answer.status_code == 422 and "image=@photo.jpg" in answer.json()["detail"]


FORMS = {
    "plain": ({}, ".png", []),
    "smaller, sharp and wrapped": (
        {"scale": "2.5", "sharpen": "0.2", "edge": "wrap", "format": "webp"},
        ".webp",
        ["--scale=2.5", "--sharpen=0.2", "--edge=wrap"],
    ),
    "deep": ({"bits": "16", "format": "tiff"}, ".tiff", ["--bits=16"]),
}


@pytest.mark.parametrize("fields, suffix, options", FORMS.values(), ids=FORMS)
def test_the_same_bytes_as_on_the_command_line(server, png, tmp_path, fields, suffix, options):
    answer = server.client.post("/upscale", files={"image": png}, data=fields)
    assert answer.content == command_line(png, tmp_path, suffix, "--strip-metadata", *options)


def test_animations_whole_or_the_first_frame(server, tmp_path):
    frames = [noise(16, 16, seed) for seed in range(3)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=70)
    whole = server.client.post("/upscale", files={"image": gif}, data={"format": "webp"})
    assert whole.content == command_line(gif, tmp_path, ".webp", "--strip-metadata")
    first = server.client.post("/upscale", files={"image": gif}, data={"batch_mode": "false"})
    assert b"acTL" not in first.content  # no APNG


def test_a_raw_body_and_the_report(server, png):
    answer = server.client.post(
        "/upscale?scale=2&response=json", content=png, headers={"content-type": "image/png"}
    )
    report = answer.json()
    assert report["status"] == "success"
    assert (report["input_size"], report["output_size"]) == ([24, 16], [48, 32])
    assert {"inference_time_ms", "gpu_memory_used_gb", "forecast_bytes"} <= set(report)
    assert str(server.spool) not in answer.text
    picture = server.client.get(report["result"])
    assert Image.open(io.BytesIO(picture.content)).size == (48, 32)


def test_metadata_only_when_kept(server):
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    picture = encoded(noise(16, 16), "JPEG", exif=exif)
    dropped = server.client.post("/upscale", files={"image": picture}).content
    kept = server.client.post(
        "/upscale", files={"image": picture}, data={"keep_metadata": "true"}
    ).content
    assert b"a secret place" not in dropped and b"a secret place" in kept


def test_a_plan_computes_nothing_and_fits_the_run(server, png):
    plan = server.client.post("/plan", files={"image": png}).json()
    told = server.client.post("/plan", json={"width": 24, "height": 16}).json()
    assert plan["output_size"] == told["output_size"] == [96, 64]
    assert plan["plan"] == told["plan"] and plan["exact"] is True and plan["seconds"] > 0
    assert plan["queue"] == {"waiting": 0, "running": 0, "seconds": 0}
    report = server.client.post("/upscale?response=json", files={"image": png}).json()
    assert report["plan"] == plan["plan"]


REFUSED = {
    "no picture": (422, {"files": {"image": b"not a picture"}}),
    "no file": (422, {"files": {"scale": (None, "4")}}),
    "two": (422, {"files": [("image", b"a"), ("image", b"b")]}),
    "a bad field": (422, {"files": {"image": b"x"}, "data": {"scale": "huge"}}),
    "an unknown field": (422, {"files": {"image": b"x"}, "data": {"output": "/etc/passwd"}}),
    "another's model": (422, {"files": {"image": b"x"}, "data": {"model": "/etc/passwd"}}),
    "too large": (
        413,
        {
            "files": {
                "image": bytes.fromhex(
                    "89504e470d0a1a0a0000000d49484452000f4240000f424008020000001ceb0ef6"
                )
            }
        },
    ),
    "json": (415, {"json": {"url": "http://example.org/a.png"}}),
    "cut off": (
        400,
        {
            "content": b"--x\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\nabc",
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
    ),
    "too many parts": (413, {"files": [("image", b"")] * 65}),
}


@pytest.mark.parametrize("status, request_", REFUSED.values(), ids=REFUSED)
def test_refusals_are_sentences_and_leave_nothing(server, status, request_):
    answer = server.client.post("/upscale", **request_)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(problem["detail"]) > 20 and str(server.spool) not in problem["detail"]
    assert not list((server.spool / "uploads").iterdir())


def test_what_is_served(server):
    (model,) = server.client.get("/models").json()["models"]
    assert (model["name"], model["scale"], model["precision"]) == ("compact-x4", 4, "fp32")
    assert server.client.get("/healthz").json() == {"status": "ok"}
    assert server.client.get("/nothing").status_code == 404


def test_the_app_has_no_torch(server):
    maps = Path(f"/proc/{server.process.pid}/maps")
    if not maps.exists():
        pytest.skip("only Linux tells what a process has loaded")
    assert "libtorch" not in maps.read_text()
