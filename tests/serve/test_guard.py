"""Who may ask: hosts, pages of other sites, keys; and what every answer carries."""

import hashlib
import re
import socket

import pytest
from http_service import ROOT, encoded, noise, serving
from PIL import Image

from swin2sr_core.errors import InputError
from swin2sr_headless.cli.main import main
from swin2sr_headless.service.keys import Keys
from swin2sr_headless.service.links import Links
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


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A server for four, who may each send three requests in a minute, of 20 kB together."""
    folder = tmp_path_factory.mktemp("locked")
    names = ("ann", "bob", "eve", "dan")
    lines = [f"{name} {hashlib.sha256(name.encode()).hexdigest()}\n" for name in names]
    (folder / "keys").write_text(f"# ours\n{''.join(lines)}")
    options = ["--key-rate", "3", "--key-bytes", "20000", "--cors", "https://a.example"]
    with serving(folder / "spool", "--api-keys", folder / "keys", *options) as made:
        yield made


def test_keys_and_what_is_open(locked):
    get = locked.client.get
    for path in ("/", "/healthz", "/openapi.json", "/page/page.js", "/web/js/compare_view.js"):
        assert get(path).status_code == 200, path
    for path in ("/models", "/metrics", "/nothing", "/page/../models", f"/results/{'0' * 32}"):
        answer = get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
    assert get("/models", headers={"x-api-key": "wrong"}).status_code == 403
    for header in ({"authorization": "Bearer ann"}, {"x-api-key": "ann"}):
        assert get("/models", headers=header).status_code == 200


def test_a_key_has_its_rate(locked, png):
    headers = {"x-api-key": "eve", "origin": "https://a.example"}
    for _ in range(4):
        answer = locked.client.post("/plan", files={"image": png}, headers=headers)
    assert answer.status_code == 429 and 0 < int(answer.headers["retry-after"]) <= 20
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert locked.client.get("/models", headers=headers).status_code == 200


def test_a_key_has_its_bytes_and_its_jobs(locked, png):
    ann, bob = {"x-api-key": "ann"}, {"x-api-key": "bob"}
    large = locked.client.post("/plan", files={"image": bytes(30000)}, headers=ann)
    assert (large.status_code, large.json()["type"]) == (429, "urn:swin2sr:bytes")
    job = locked.client.post("/jobs", files={"image": png}, headers=ann).json()
    assert locked.client.get(job["events"], headers=bob).status_code == 404
    assert b"event: done" in locked.client.get(job["events"], headers=ann).content
    link = locked.client.get(f"/jobs/{job['id']}", headers=ann).json()["pictures"][0]["link"]
    picture = locked.client.get(link)
    assert picture.content[:4] == b"\x89PNG"
    for false in (link[:-1], link.replace("until=", "until=9"), link.replace("result/1", "result")):
        assert locked.client.get(false).status_code == 401
    assert locked.client.delete(f"/jobs/{job['id']}?{link.partition('?')[2]}").status_code == 401


def test_what_a_job_keeps_waiting_counts_for_its_key(locked):
    dan, some = {"x-api-key": "dan"}, encoded(noise(64, 64))
    files = [("file", encoded(Image.new("RGB", (900, 900)))), ("file", some)]
    job = locked.client.post("/jobs", files=files, headers=dan).json()
    assert locked.client.post("/plan", files={"image": some}, headers=dan).status_code == 429
    locked.client.delete(f"/jobs/{job['id']}", headers=dan)
    assert b"cancelled" in locked.client.get(job["events"], headers=dan).content
    assert locked.client.post("/plan", files={"image": some}, headers=dan).status_code == 200


def test_a_link_ends():
    links = Links()
    path, _, query = links.signed("/jobs/1/result", now=1000).partition("?")
    assert links.hold(path, query, now=1600) and not links.hold(path, query, now=1601)
    assert not Links().hold(path, query, now=1000), "another server's"
    assert not links.hold(path, "until=nan&signature=é")


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


def test_the_dashboard_shows_what_there_is(server):
    shown = re.findall(r"swin2sr_\w+", (ROOT / "docs" / "serve" / "dashboard.json").read_text())
    told = server.client.get("/metrics").text.splitlines()
    known = {line.split()[2] for line in told if line.startswith("# TYPE")}
    assert len(shown) > 10 and {name.removesuffix("_bucket") for name in shown} <= known


def test_metrics_count_what_happened(server, png):
    assert server.client.post("/upscale", files={"image": png}).status_code == 200
    text = server.client.get("/metrics").text
    assert 'swin2sr_requests_total{code="200",method="POST"}' in text, text
    assert 'swin2sr_inference_seconds_count{model="compact-x4"}' in text
    assert "swin2sr_queue_seconds 0.0" in text
