"""Webhooks: told of a job's end, signed, tried again, and never in a job's way."""

import base64
import hashlib
import hmac
import http.server
import json
import queue
import threading

import pytest
from http_service import serving

SECRET = b"sixteen bytes and more"


class Listening(http.server.ThreadingHTTPServer):
    """answers: statuses to come; heard: headers and bodies that came."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Listener)
        self.heard, self.answers = queue.Queue(), []


class Listener(http.server.BaseHTTPRequestHandler):
    server: Listening

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.put((self.headers, body))
        self.send_response(self.server.answers.pop(0))
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def listener():
    with Listening() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    file = tmp_path_factory.mktemp("secret") / "secret"
    file.write_text(f"whsec_{base64.b64encode(SECRET).decode()}\n")
    return file


def test_it_is_signed_and_tried_again_also_by_the_next_process(tmp_path, listener, secret, png):
    listener.answers = [500, 204, 302, 204]
    address = f"http://127.0.0.1:{listener.server_port}/done"
    options = ["--webhook-allow", "127.0.0.1", "--webhook-secret", secret]
    with serving(tmp_path, *options) as server:
        made = server.client.post("/jobs", files={"file": png}, data={"webhook": address})
        tries = [listener.heard.get(timeout=60) for _ in range(2)]
        job = server.client.get(made.headers["location"]).json()
        second = server.client.post("/jobs", files={"file": png}, data={"webhook": address})
        listener.heard.get(timeout=60)
        server.process.kill()
        server.process.wait()
    with serving(tmp_path, *options, ready=False):
        _, told = listener.heard.get(timeout=60)
    assert json.loads(told)["data"]["id"] == second.json()["id"]
    for headers, body in tries:
        number, stamp = headers["webhook-id"], headers["webhook-timestamp"]
        signed = f"{number}.{stamp}.".encode() + body
        digest = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{digest}"
        assert json.loads(body)["type"] == "job.done" and number == job["id"]
        assert json.loads(body)["data"]["pictures"] == job["pictures"]


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "http://127.0.0.1@evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://a:b@127.0.0.1/",
        "//127.0.0.1/",
        "http://[",
        "",
    ],
)
def test_other_hosts_are_refused(tmp_path_factory, server, png, address):
    answer = server.client.post("/jobs", files={"file": png}, data={"webhook": address})
    assert answer.status_code == 422 and "webhook" in answer.json()["detail"]
    assert not list((server.spool / "uploads").iterdir())


def test_a_host_among_those_allowed_is_not_another():
    from swin2sr_headless.service.errors import Problem
    from swin2sr_headless.service.webhooks import Webhooks

    hooks = Webhooks(None, ["a.example", "b.example:8080"], SECRET, dict)  # pyright: ignore
    for fits in ("https://a.example/x", "http://a.example:99/", "http://b.example:8080/"):
        assert hooks.check(fits) == fits
    for other in (
        "https://u@a.example/",
        "https://a.example.org",
        "http://b.example/",
        "ftp://a.example",
    ):
        with pytest.raises(Problem):
            hooks.check(other)
