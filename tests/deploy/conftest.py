"""The image of this checkout, built by a docker daemon that the tests start."""

import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from docker_daemon import daemon, reason_to_skip

ROOT = Path(__file__).resolve().parents[2]
log = logging.getLogger(__name__)
_BASE = ["--variant=minbase", "--include=python3,tini,ca-certificates"]
_LEAN = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale")]


@pytest.fixture(scope="session")
def docker():
    if os.environ.get("SWIN2SR_IMAGE_TESTS") != "1":
        pytest.skip("set SWIN2SR_IMAGE_TESTS=1 to build and run the image: some minutes, as root")
    if (why := reason_to_skip()) is not None:
        pytest.skip(why)
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the base is Debian 12, whose Python is 3.11: wheels are made for it")
    with (
        tempfile.TemporaryDirectory(prefix="swin2sr-docker-") as folder,
        daemon(Path(folder)) as it,
    ):
        yield it


@pytest.fixture(scope="session")
def image(docker):
    """Built without a network, on a Debian that mmdebstrap has laid."""
    base = docker.folder / "base.tar"
    words = [*_BASE, *_LEAN, "bookworm", str(base)]
    subprocess.run(["mmdebstrap", "-q", *words], check=True)
    docker.docker("import", base, "swin2sr-base")
    build = [sys.executable, ROOT / "deploy" / "docker" / "build.py", "cpu", "--tag", "swin2sr:cpu"]
    wheels = ["--", f"torch=={torch.__version__.partition('+')[0]}"]
    began = time.perf_counter()
    subprocess.run(
        [*map(str, build), "--base", "swin2sr-base", "--network", "none", *wheels],
        env=docker.environment,
        check=True,
    )
    size = int(docker.docker("image", "inspect", "--format", "{{.Size}}", "swin2sr:cpu"))
    log.info("built in %.0f s, %.0f MB", time.perf_counter() - began, size / 1e6)
    return "swin2sr:cpu"


class Container:
    def __init__(self, docker, number):
        self.docker, self.number = docker, number
        self.url = f"http://{docker.address(number)}:8080"

    def ready(self):
        """Wait until /readyz says so, or it has ended."""
        code = f"import urllib.request as r; r.urlopen('{self.url}/readyz', timeout=2)"
        for _ in range(240):
            if (
                subprocess.run(
                    self.docker.inside(sys.executable, "-c", code), stderr=subprocess.DEVNULL
                ).returncode
                == 0
            ):
                return self
            assert self.state("Running") == "true", self.docker.docker("logs", self.number)
            time.sleep(0.25)
        raise AssertionError(self.docker.docker("logs", self.number))

    def state(self, name):
        return self.docker.inspect(self.number, "{{.State." + name + "}}")

    def peak_bytes(self):
        place = Path("/sys/fs/cgroup/memory/docker") / self.number / "memory.max_usage_in_bytes"
        return int(place.read_text()) if place.exists() else None


@pytest.fixture
def started(docker, image):
    """Run the image as one should: read-only, without rights, with a limit on its memory."""

    def start(memory="1g", **variables):
        limits = ["--memory", memory, "--memory-swap", memory, "--pids-limit", "256"]
        locked = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
        locked += ["--security-opt", "no-new-privileges"]
        words = [f"--env={name}={value}" for name, value in variables.items()]
        number = docker.docker("run", "-d", *limits, *locked, *words, image)
        return Container(docker, number)

    return start
