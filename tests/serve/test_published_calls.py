"""The calls that are published, verbatim but for the address: docs/serve.md's and the recipe's."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from http_service import encoded, noise
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
DOCS = {name: (ROOT / "docs" / name).read_text("utf-8") for name in ("serve.md", "serve.zh-CN.md")}
PUBLISHED = "http://127.0.0.1:8080"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(encoded(noise(20, 12), "JPEG"))
    for name in ("a.png", "b.png", "x.png"):
        (tmp_path / name).write_bytes(encoded(noise(20, 12)))
    return tmp_path


def call(server, folder, line):
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    words = line.partition("#")[0].replace(PUBLISHED, server.address)
    return subprocess.run(words, shell=True, cwd=folder, capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", DOCS)
def test_each_curl_of_the_documentation(server, folder, name):
    lines = [line for line in re.findall(r"^    (curl .*)", DOCS[name], re.M) if "8080" in line]
    assert len(lines) >= 4
    job = None
    for line in lines:
        said = call(server, folder, line.replace("ID", job or "ID"))
        assert b"urn:swin2sr" not in said or "DELETE" in line, (line, said)
        if (made := re.search(rb"location: /jobs/(\w+)", said, re.I)) is not None:
            job = made[1].decode()
            server.client.get(f"/jobs/{job}/events")  # to its end
    assert Image.open(folder / "large.png").size == (80, 48)
    assert (folder / "pictures.zip").read_bytes()[:2] == b"PK"


@pytest.mark.parametrize("form", ["image=@x.png -F scale=4", "file=@x.png"])
def test_the_calls_of_published_recipes(server, folder, form):
    picture = call(server, folder, f"curl -s -F {form} {PUBLISHED}/upscale")
    assert Image.open(io.BytesIO(picture)).size == (80, 48)


def test_the_python_of_the_documentation(server, folder, monkeypatch):
    pytest.importorskip("requests")
    (code,) = re.findall(r"```python\n(.*?)```", DOCS["serve.md"], re.S)
    monkeypatch.chdir(folder)
    exec(code.replace(PUBLISHED, server.address), {})  # noqa: S102
    assert Image.open("large.png").size == (80, 48)
