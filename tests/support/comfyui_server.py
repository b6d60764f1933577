"""A real ComfyUI with this pack, in a process of its own.

COMFYUI_DIR is its checkout; COMFYUI_PYTHON the Python that has what it needs (this one by default);
COMFYUI_FRONTEND a folder with another version of its page.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def running(base: Path) -> Iterator[str]:
    """The address of a server that works in the folder `base` and can reach no network."""
    (base / "custom_nodes").mkdir(parents=True, exist_ok=True)
    (base / "models" / "upscale_models").mkdir(parents=True, exist_ok=True)
    pack = base / "custom_nodes" / "swin2sr"
    if not pack.exists():
        pack.symlink_to(ROOT, target_is_directory=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    page = os.environ.get("COMFYUI_FRONTEND")
    command = [
        os.environ.get("COMFYUI_PYTHON", sys.executable),
        *("main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port)),
        *("--base-directory", str(base), "--disable-auto-launch", "--disable-api-nodes"),
        *("--database-url", f"sqlite:///{base}/comfyui.db"),
        *(("--front-end-root", page) if page else ()),
    ]
    nowhere = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")}
    environment = {**os.environ, **nowhere, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    with (base / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=os.environ["COMFYUI_DIR"], env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url, process, base / "log.txt")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        try:
            OPENER.open(f"{url}/system_stats", timeout=5).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.3)
    raise RuntimeError(f"ComfyUI did not start:\n{log.read_text()[-3000:]}")
