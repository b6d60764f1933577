"""A docker daemon of the tests' own, in a network namespace of its own; nothing leaves it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager

WANTED = ("dockerd", "docker", "mmdebstrap", "unshare", "nsenter")

_START = """
ip link set lo up
exec dockerd --data-root {0}/data --exec-root {0}/exec --pidfile {0}/pid --host unix://{0}/sock \
    --iptables=false --ip6tables=false > {0}/log 2>&1
"""


def reason_to_skip():
    """Why no daemon can be started here, or None."""
    if os.name == "nt" or os.getuid():
        return "a docker daemon needs root"
    missing = [name for name in WANTED if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


class Daemon:
    def __init__(self, folder, process):
        self.folder, self.process = folder, process
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{folder}/sock"}

    def docker(self, *words, check=True, **how):
        """Standard output of a docker command."""
        done = subprocess.run(
            ["docker", *map(str, words)],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=check,
            **how,
        )
        return done.stdout.strip()

    def inspect(self, container, form):
        return self.docker("inspect", "--format", form, container)

    def address(self, container):
        return self.inspect(container, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")

    def inside(self, *words):
        """A command in the daemon's network."""
        pid = (self.folder / "pid").read_text().strip()
        return ["nsenter", "--target", pid, "--net", *map(str, words)]


@contextmanager
def daemon(folder):
    """Started, and gone with its containers afterwards. Raises RuntimeError where it will not."""
    process = subprocess.Popen(
        ["unshare", "-m", "-n", "bash", "-c", _START.format(folder)], start_new_session=True
    )
    made = Daemon(folder, process)
    try:
        for _ in range(300):
            if (folder / "sock").exists() and made.docker("ps", "-q", check=False) is not None:
                break
            if process.poll() is not None:
                raise RuntimeError((folder / "log").read_text()[-400:])
            time.sleep(0.1)
        yield made
    finally:
        for container in made.docker("ps", "-aq", check=False).split():
            made.docker("rm", "-f", container, check=False)
        process.terminate()
        process.wait(30)
