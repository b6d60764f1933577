"""A cluster of two nodes on this machine: nothing is lost, whatever is killed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from batches import NAME, files, made, ran

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        os.name == "nt" or os.getuid() != 0 or shutil.which("unshare") is None,
        reason="a network namespace needs root and unshare: Ray listens on all interfaces",
    ),
]
SUPPORT = Path(__file__).resolve().parents[1] / "support"


@pytest.fixture
def folder():
    """A short name: Ray's sockets lie in there, and have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as name:
        yield Path(name)


def played(scenario, folder, count):
    apart = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    done = subprocess.run(
        [*apart, sys.executable, SUPPORT / "ray_scenario.py", scenario, folder, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0
    return json.loads(done.stdout[done.stdout.index("{") :])


def test_an_actor_a_node_and_the_driver_are_killed_and_nothing_is_lost(folder):
    count = int(os.environ.get("SWIN2SR_RAY_PICTURES", "60"))
    told = played("batch", folder, count)
    assert told["code"] == 0, told
    assert count // 2 <= told["at_kill"] < count and told["actors_after_the_kill"] == 0
    assert f"{told['at_kill']} were there" in told["out"].replace(",", "")
    found = made(folder / "out" / NAME)
    assert len(found) == count and set(found.values()) == {1}
    if count == 60:
        assert ran(folder / "in", "-o", folder / "one", command="upscale")[0] == 0
        assert files(folder / "out") == files(folder / "one")


def test_a_server_whose_actor_is_killed_answers_all(folder):
    told = played("serve", folder, 12)
    assert told["statuses"] == [200] * 12, told
    assert told["bad"] in (415, 422) and told["code"] == 0, told


def test_the_application_of_ray_serve(folder):
    told = played("deployed", folder, 3)
    assert told == {"statuses": [200] * 3, "actors_after": 0}
