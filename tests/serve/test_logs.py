"""What is logged: a line of JSON for each request, with its number, and no secrets."""

import asyncio
import hashlib
import json
import subprocess
import sys

from http_service import encoded, noise, serving

from swin2sr_headless.service.child import Child

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_line_of_json_for_each_request(tmp_path, capfd):
    (tmp_path / "keys").write_text(f"ann {hashlib.sha256(b'the-key').hexdigest()}\n")
    options = ["--log-level", "info", "--api-keys", tmp_path / "keys"]
    headers = {"x-api-key": "the-key", "x-request-id": "abc-1", "traceparent": TRACE}
    with serving(tmp_path / "spool", *options, ready=False) as server:
        files = {"image": ("a secret name.png", encoded(noise(8, 8)))}
        answer = server.client.post("/upscale?response=json", files=files, headers=headers)
        assert answer.headers["x-request-id"] == "abc-1" and answer.headers["traceparent"] == TRACE
        server.client.get("/models?key=the-key", headers={"x-request-id": "a\tb c"})
    text = capfd.readouterr().err
    made, refused = [json.loads(line) for line in text.splitlines() if '"request"' in line]
    assert made["request"] == "abc-1" and made["trace"] == TRACE.split("-")[1]
    assert (made["owner"], made["method"], made["path"]) == ("ann", "POST", "/upscale")
    assert made["status"] == answer.status_code and made["seconds"] > 0
    assert refused["status"] == 401 and refused["request"] not in ("", "a\tb c")
    assert "the-key" not in text and "a secret name" not in text


def test_what_processes_print_is_logged_and_a_dead_one_is_killed_in_silence(caplog):
    async def started():
        child = await Child.start("no_such_module")
        assert await child.receive() is None
        while not child._dead():
            await asyncio.sleep(0.01)
        child.kill()
        await child.ended()
        await child._overhearing

    asyncio.run(started())
    (line,) = caplog.records
    assert (line.name, line.levelname) == ("no_such_module", "WARNING")
    assert "No module named no_such_module" in line.message


def test_uvicorn_and_parsers_say_nothing_of_what_strangers_send():
    code = (
        "import logging\nfrom swin2sr_headless.service.logs import start_logging\n"
        "start_logging('info')\n"
        "logging.getLogger('python_multipart.multipart').warning('content of a form')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
