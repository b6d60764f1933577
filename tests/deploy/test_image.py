"""The image: what is in it, and how it behaves within limits, at its end, and in twos."""

import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOAD = ROOT / "tests" / "support" / "load.py"
log = logging.getLogger(__name__)
pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("docker")]


def load(docker, url, *options):
    words = docker.inside(sys.executable, LOAD, url, *options)
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def result(process):
    out, _ = process.communicate(timeout=300)
    log.info(out)
    return json.loads(out)


def test_what_is_in_it(docker, image):
    config = json.loads(docker.docker("image", "inspect", image))[0]["Config"]
    assert config["User"] == "10001:10001" and config["Healthcheck"]["Test"][0] == "CMD"
    look = "command -v gcc cc g++ pip pip3 curl wget; ls /wheels /root/.cache /opt/swin2sr/bin/pip"
    found = docker.docker(
        *("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", look),
        check=False,
        stderr=subprocess.DEVNULL,
    )
    assert found == ""


def test_nobody_gets_in_without_keys_unless_that_is_said(docker, image):
    done = subprocess.run(
        ["docker", "run", "--rm", image], env=docker.environment, capture_output=True, text=True
    )
    assert done.returncode == 2 and "--api-keys FILE" in done.stderr


@pytest.mark.parametrize("memory", ["384m", "512m", "1g"])
def test_a_limit_on_memory_holds_under_load(memory, docker, started):
    spare = {} if memory == "1g" else {"SWIN2SR_NO_SPARE": "true"}
    container = started(memory, SWIN2SR_NO_AUTH="true", **spare).ready()
    at_rest = container.peak_bytes()
    statuses = result(load(docker, container.url, "--sides", "32,64,256,400"))["statuses"]
    log.info("%s: %s bytes at rest, %s at most", memory, at_rest, container.peak_bytes())
    assert container.state("OOMKilled") == "false" and container.state("Running") == "true"
    assert set(statuses) <= {"200", "413"} and statuses["200"] >= 20
    metrics = docker.docker(
        "exec",
        container.number,
        "python",
        "-c",
        "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/metrics').read().decode())",
    )
    assert "swin2sr_worker_restarts_total 0.0" in metrics, metrics
    docker.docker("rm", "-f", container.number)


def test_a_stop_under_load_finishes_what_runs(docker, started):
    container = started(SWIN2SR_NO_AUTH="true").ready()
    running = load(docker, container.url, "--clients", "3", "--pictures", "3", "--sides", "256")
    time.sleep(0.7)
    began = time.perf_counter()
    docker.docker("stop", "--time", "90", container.number)
    log.info("stopped in %.1f s", time.perf_counter() - began)
    assert result(running)["statuses"] == {"200": 3}
    assert container.state("ExitCode") == "0"


def test_one_of_two_behind_nginx_is_killed_and_nobody_notices(docker, started, tmp_path):
    settings = {"SWIN2SR_NO_AUTH": "true", "SWIN2SR_MAX_WAIT": "120", "OMP_NUM_THREADS": "1"}
    pair = [started(**settings).ready() for _ in range(2)]
    text = (ROOT / "deploy" / "docker" / "nginx.conf").read_text()
    for name, container in zip(("one", "two"), pair, strict=True):
        text = text.replace(
            f"server {name}:8080", f"server {docker.address(container.number)}:8080"
        )
    (tmp_path / "nginx.conf").write_text(text)
    words = docker.inside("nginx", "-c", tmp_path / "nginx.conf", "-g", "daemon off;")
    nginx = subprocess.Popen(words)
    try:
        time.sleep(1)
        options = ("--clients", "4", "--pictures", "60", "--sides", "128")
        whole = result(load(docker, "http://127.0.0.1:8080", *options))
        running = load(docker, "http://127.0.0.1:8080", *options)
        time.sleep(2)
        docker.docker("kill", pair[0].number)
        one_less = result(running)
    finally:
        nginx.terminate()
        nginx.wait()
    assert whole["statuses"] == one_less["statuses"] == {"200": 60}
