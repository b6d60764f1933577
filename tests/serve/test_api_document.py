"""/openapi.json: complete, true by schemathesis, and readable at /docs."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from swin2sr_core.errors import InputError
from swin2sr_headless.service import options
from swin2sr_headless.service.fields import Fields, properties

# A job is not deleted but cancelled: it can still be read.
UNFIT = "use_after_free"


def test_it_tells_the_fields_that_are_read():
    defaults = options.Defaults(("a",), {}, ())
    with pytest.raises(InputError) as refused:
        options.request_of({"?": ""}, defaults)
    known = str(refused.value).partition("the fields are ")[2].split(", ")
    assert sorted(known) == sorted(properties(Fields))


def test_every_answer_and_body_is_told(server):
    document = server.client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            success = [told["responses"][code] for code in told["responses"] if code < "300"]
            assert success and all(each.get("content") for each in success), path
            assert ("requestBody" in told) == (method == "post"), path
    assert document["components"]["schemas"]["Model"]["enum"] == ["compact-x4"]


def test_the_documentation_loads_nothing_from_elsewhere(open_page, server):
    page = open_page(server, path="/docs")
    heading = page.get_by_role("heading", name="POST /upscale")
    heading.wait_for()
    page.get_by_text("multipart/form-data").first.click()
    page.get_by_role("cell", name="number, over 0 to 64").first.wait_for()


def test_schemathesis_finds_nothing(server, tmp_path):
    program = os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis")
    if program is None:
        pytest.skip("no schemathesis (pip install it anywhere, and name it in SCHEMATHESIS)")
    here = Path(__file__).parent
    words = [f"--config-file={here / 'schemathesis.toml'}", "run", f"{server.address}/openapi.json"]
    checks = ["--checks=all", f"--exclude-checks={UNFIT}", "--max-examples=10", "--seed=1"]
    ran = subprocess.run(
        [program, *words, *checks, "--no-color", "--request-timeout=60"],
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "PYTHONPATH": str(here),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert server.client.get("/readyz").status_code == 200
    while list((server.spool / "uploads").iterdir()):  # its last jobs are made
        time.sleep(0.05)
