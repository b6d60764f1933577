"""Pictures of places that are no disks: an S3 server on this machine, and fsspec's own."""

import json
import socket
import subprocess
import sys
import time

import pytest
from batches import NAME, ran, started

fsspec = pytest.importorskip("fsspec")
pytestmark = pytest.mark.timeout(400)  # as in test_batch.py


def test_a_file_system_of_fsspec_like_a_disk(folder, out):
    there = out.as_uri()
    assert ran(folder.as_uri(), "--recursive", "-o", there)[0] == 0
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*_x4.*"))
    assert names == ["a_x4.png", "b_x4.jpg", "x/c_x4.png"]
    assert (out / NAME).is_dir()  # what cannot append has a folder
    assert not list(out.rglob(".swin2sr-*"))
    assert "3 were there" in ran(folder.as_uri(), "--recursive", "-o", there)[1]


@pytest.fixture(scope="module")
def s3():
    """The environment of a client, and a file system of it."""
    pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            with socket.socket() as trial:
                if not trial.connect_ex(("127.0.0.1", port)):
                    break
            assert server.poll() is None
            time.sleep(0.05)
        address = f"http://127.0.0.1:{port}"
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        system = s3fs.S3FileSystem(
            key="a", secret="b", endpoint_url=address, use_listings_cache=False
        )
        yield {**keys, "AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-1"}, system
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def bucket(s3, folder):
    environment, system = s3
    name = f"pictures-{time.time_ns()}"
    system.mkdir(name)
    system.put(str(folder), f"{name}/in", recursive=True)
    return environment, system, name


def test_s3_in_and_out_and_gone_on_with(bucket, folder, tmp_path):
    environment, system, name = bucket
    system.pipe_file(f"{name}/in/bad.png", b"no picture")
    options = (f"s3://{name}/in", "--recursive", "-o", f"s3://{name}/out")
    code, text, _ = ran(*options, "--json", **environment)
    assert (code, json.loads(text)["made"]) == (1, 3)
    assert ran(folder, "--recursive", "-o", tmp_path / "one", command="upscale")[0] == 0
    for path in (tmp_path / "one").rglob("*_x4.*"):
        there = f"{name}/out/{path.relative_to(tmp_path / 'one').as_posix()}"
        assert system.cat_file(there) == path.read_bytes()
    system.put_file(str(folder / "a.png"), f"{name}/in/new.png")
    code, text, _ = ran(*options, "--json", **environment)
    document = json.loads(text)
    assert (code, document["made"], document["skipped"], document["failed"]) == (1, 1, 3, 1)


def test_killed_beside_s3_everything_is_there_after_the_resume(bucket, folder):
    environment, system, name = bucket
    for number in range(30):
        system.put_file(str(folder / "a.png"), f"{name}/in/{number:02}.png")
    options = (f"s3://{name}/in/*.png", "-o", f"s3://{name}/out")
    process = started(*options, "--device", "cpu", **environment)
    while len(system.find(f"{name}/out")) < 8:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert ran(*options, **environment)[0] == 0
    pictures = [path for path in system.find(f"{name}/out") if path.endswith(".png")]
    assert len(pictures) == 31
    assert len({system.cat_file(path) for path in pictures}) == 1
