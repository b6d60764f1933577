"""Requests that mean harm: refused at once, whatever they are, and slow ones are not waited for."""

import io
import socket
import time

import httpx
import pytest
from hostile_uploads import hostile_uploads
from http_service import serving
from PIL import Image

HEAD = b"POST /upscale HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def hurried(tmp_path_factory):
    """A server that waits half a second for a byte, three for an upload, and has no other model."""
    options = ["--upload-idle", "0.5", "--upload-time", "3"]
    nothing = {"SWIN2SR_MODELS_DIR": str(tmp_path_factory.mktemp("models"))}
    with serving(tmp_path_factory.mktemp("spool"), *options, environment=nothing) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_stays(hurried, png):
    yield
    assert not list((hurried.spool / "uploads").iterdir())
    assert not list(hurried.spool.parent.glob("x*"))
    assert hurried.client.post("/upscale", files={"image": png}).status_code == 200


def test_each_is_refused_in_a_sentence(hurried):
    for each in hostile_uploads():
        answer = hurried.client.post("/upscale", **each.request)
        if answer.status_code == 200 and each.may_pass:
            Image.open(io.BytesIO(answer.content)).load()
            continue
        assert 400 <= answer.status_code < 500, (each.kind, answer.text)
        assert len(answer.json()["detail"]) > 10, each.kind
        assert str(hurried.spool) not in answer.text, each.kind


def test_faces_where_they_cannot_be_found_are_refused(hurried, png):
    """Strangers are not told where a server keeps its models."""
    answer = hurried.client.post("/upscale", files={"image": png}, data={"faces": "true"})
    sentence = answer.json()["detail"]
    assert answer.status_code == 422 and sentence.startswith("faces: this server lacks")
    assert "/" not in sentence


def test_a_length_that_lies_is_not_waited_for(hurried):
    with raw(hurried, HEAD + b"Content-Length: 100000\r\n\r\n\x89PNG") as wire:
        assert answered(wire).startswith(b"HTTP/1.1 408")


def test_a_byte_now_and_then_is_not_enough(hurried):
    with raw(hurried, HEAD + b"Content-Length: 100000\r\n\r\n") as wire:
        wire.settimeout(0.2)
        while True:
            wire.sendall(b"x")
            try:
                assert wire.recv(100).startswith(b"HTTP/1.1 408")
                break
            except TimeoutError:
                pass


def test_a_head_that_does_not_come_is_not_waited_for(hurried):
    begun = time.monotonic()
    with raw(hurried, b"GET /healthz HTTP/1.1\r\nHost: ") as silent:
        assert answered(silent) == b""
    assert time.monotonic() - begun >= 0.5, "a slow client has its time"


def test_a_connection_that_is_kept_waits_for_its_next_head_anew(hurried):
    with httpx.Client(base_url=hurried.address) as client:
        assert [client.get("/healthz").status_code for _ in range(2)] == [200, 200]


def raw(server, data):
    host, _, port = server.address.removeprefix("http://").partition(":")
    wire = socket.create_connection((host, int(port)), timeout=60)
    wire.sendall(data)
    return wire


def answered(wire):
    return wire.recv(1000)
