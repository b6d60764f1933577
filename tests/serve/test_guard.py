"""Who may ask: hosts, pages of other sites, keys; and what every answer carries."""

import hashlib
import socket

import pytest
from http_service import serving

from swin2sr_core.errors import InputError
from swin2sr_headless.cli.main import main
from swin2sr_headless.service.keys import Keys
from swin2sr_headless.service.uploads import harmless_name

STRANGERS = {
    "a rebound name": {"host": "evil.example"},
    "another site's page": {"origin": "https://evil.example"},
    "another port's page": {"origin": "http://127.0.0.1:1"},
    "a sandboxed page": {"origin": "null"},
    "a form": {"sec-fetch-site": "cross-site"},
}


@pytest.mark.parametrize("headers", STRANGERS.values(), ids=STRANGERS)
def test_pages_of_others_are_refused(server, png, headers):
    answer = server.client.post("/upscale", files={"image": png}, headers=headers)
    assert answer.status_code == 403 and answer.json()["status"] == 403


def test_its_own_page_is_not(server, png):
    headers = {"origin": server.address, "sec-fetch-site": "same-origin"}
    assert server.client.post("/plan", files={"image": png}, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/models"])
def test_every_answer_is_guarded(server, path):
    headers = server.client.get(path, headers={"x-request-id": "abc-1"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert headers["x-request-id"] == "abc-1" and "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_keys_and_open_pages(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"# ours\nann {hashlib.sha256(b'secret').hexdigest()}\n")
    options = ["--api-keys", keys, "--key-rate", "3", "--cors", "https://a.example"]
    with serving(tmp_path / "spool", *options, ready=False) as server:
        get = server.client.get
        assert get("/healthz").status_code == 200
        assert get("/models").status_code == 401
        assert get("/models", headers={"x-api-key": "wrong"}).status_code == 403
        for header in ({"authorization": "Bearer secret"}, {"x-api-key": "secret"}) * 2:
            answer = get("/models", headers={**header, "origin": "https://a.example"})
        assert answer.status_code == 429 and int(answer.headers["retry-after"]) <= 20
        assert answer.headers["access-control-allow-origin"] == "https://a.example"


def test_a_key_may_ask_again_after_a_while():
    keys = Keys({"ann": b""}, per_minute=2)
    waits = [keys.wait("ann", now) for now in (0, 0, 0, 30, 31)]
    assert waits == [0, 0, 30, 0, pytest.approx(29)]


def test_keys_that_are_none(tmp_path):
    (tmp_path / "keys").write_text("ann secret\n")
    with pytest.raises(InputError, match="line 1"):
        Keys.read(tmp_path / "keys")


@pytest.mark.parametrize(
    "options, environment, words",
    [
        (["--host", "0.0.0.0"], {}, "--api-keys"),
        ([], {"TILE_SIZE": "big"}, "--tile"),
        ([], {"FP16_ENABLE": "maybe"}, "FP16_ENABLE"),
        ([], {"SWIN2SR_MAX_MEMORY": "some"}, "--max-memory"),
        (["--model", "none-such"], {}, "none-such"),
    ],
)
def test_it_does_not_start_in_doubt(capsys, monkeypatch, options, environment, words):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["serve", "--port", "0", *options]) in (2, 3)
    assert words in capsys.readouterr().err


def test_a_port_in_use_is_told(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "choose another --port" in capsys.readouterr().err


def test_a_spool_has_one_server(server, capsys):
    assert main(["serve", "--port", "0", "--spool", str(server.spool)]) == 2
    assert "another server works in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name, shown",
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\a.png", "a.png"),
        ('a"\r\nSet-Cookie: x.png', "aSet-Cookie x.png"),
        ("bild ü.png", "bild ü.png"),
        ("...", "picture"),
    ],
)
def test_names_are_for_showing_alone(name, shown):
    assert harmless_name(name) == shown


def test_metrics_count_what_happened(server, png):
    assert server.client.post("/upscale", files={"image": png}).status_code == 200
    text = server.client.get("/metrics").text
    assert 'swin2sr_requests_total{code="200",method="POST"}' in text, text
    assert 'swin2sr_inference_seconds_count{model="compact-x4"}' in text
    assert "swin2sr_queue_seconds 0.0" in text
