"""Two Ray nodes in namespaces of their own, and what is done to them. Writes JSON for a test.

    unshare --net --pid --fork --mount-proc --kill-child python ray_scenario.py batch FOLDER 60

Run in a network namespace, for Ray listens on all interfaces.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from batches import NAME, ROOT, made, picture, rows

_COMMAND = [sys.executable, "-m", "swin2sr_core"]


@contextmanager
def cluster(folder):
    """Two nodes with a CPU each, for those who have the token."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    token = folder / "token"
    token.write_text("0123456789abcdef" * 4)
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.second = made.add_node(num_cpus=1)
    try:
        yield made
    finally:
        made.shutdown()


def started(*words):
    return subprocess.Popen(
        [*_COMMAND, *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def actors():
    """Processes of workers, by what Ray calls them."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if words.startswith(b"ray::RayWorker"):
            found.append(int(folder.name))
    return found


def until(condition, process):
    while not condition():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.02)


def batch(folder, count):
    """An actor, a node and the driver are killed; then the same line again."""
    for number in range(count):
        picture(folder / "in" / f"{number:05}.png", number, 12 + 4 * (number % 3), 8)
    manifest = folder / "out" / NAME

    with cluster(folder) as nodes:
        words = ("batch", folder / "in", "-o", folder / "out", "--device", "cpu", "--workers", 2)
        words += ("--ray", nodes.address)
        driver = started(*words)
        until(lambda: len(rows(manifest)) >= count // 6, driver)
        os.kill(actors()[0], signal.SIGKILL)
        until(lambda: len(rows(manifest)) >= count // 3, driver)
        nodes.remove_node(nodes.second, allow_graceful=False)
        until(lambda: len(rows(manifest)) >= count // 2, driver)
        driver.kill()
        driver.wait()
        at_kill = len(made(manifest))
        time.sleep(2)
        left = len(actors())
        nodes.add_node(num_cpus=1)
        began = time.perf_counter()
        again = started(*words)
        out, _ = again.communicate(timeout=3000)
    return {
        "code": again.returncode,
        "out": out,
        "at_kill": at_kill,
        "actors_after_the_kill": left,
        "seconds": round(time.perf_counter() - began, 1),
    }


def serve(folder, count):
    """Pictures posted while an actor is killed, then the end."""
    import httpx
    from load import drawn

    with cluster(folder) as nodes:
        words = ("serve", "--ray", nodes.address, "--device", "cpu", "--workers", 2)
        server = started(*words, "--port", 0, "--spool", folder / "spool")
        line = server.stdout.readline()
        client = httpx.Client(base_url=line.split()[-1], timeout=100)
        until(lambda: client.get("/readyz").status_code == 200, server)
        statuses = []
        for number in range(count):
            statuses.append(client.post("/upscale", files={"image": drawn(16)}).status_code)
            if number == count // 3:
                os.kill(actors()[0], signal.SIGKILL)
        bad = client.post("/upscale", files={"image": b"no"}).status_code
        server.send_signal(signal.SIGTERM)
        out, _ = server.communicate(timeout=60)
        return {"statuses": statuses, "bad": bad, "code": server.returncode, "out": out}


def deployed(folder, count):
    """The application of Ray Serve, as KubeRay starts it."""
    import httpx
    from load import drawn

    os.environ |= {"SWIN2SR_NO_AUTH": "true", "SWIN2SR_DEVICE": "cpu"}
    os.environ |= {"SWIN2SR_SPOOL": str(folder / "spool"), "PYTHONPATH": str(ROOT)}
    with cluster(folder) as nodes:
        words = ["-m", "ray.serve.scripts", "run", "--address", nodes.address]
        server = subprocess.Popen(
            [sys.executable, *words, "swin2sr_headless.ray.service:app"],
            stdout=subprocess.DEVNULL,
            stderr=sys.stderr,
        )
        client = httpx.Client(base_url="http://127.0.0.1:8000", timeout=100)

        def ready():
            try:
                return client.get("/readyz").status_code == 200
            except httpx.HTTPError:
                return False

        while not ready():
            assert server.poll() is None
            time.sleep(0.2)
        answers = [client.post("/upscale", files={"image": drawn(16)}) for _ in range(count)]
        server.send_signal(signal.SIGINT)
        server.wait(60)
        left = len(actors())
    return {"statuses": [each.status_code for each in answers], "actors_after": left}


if __name__ == "__main__":
    scenario = {"batch": batch, "serve": serve, "deployed": deployed}[sys.argv[1]]
    json.dump(scenario(Path(sys.argv[2]), int(sys.argv[3])), sys.stdout)
