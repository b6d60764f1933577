"""A server of our own from a ComfyUI checkout: its port, its folders, its end."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from ..problems import HostError
from ..watch import Watch
from .pack import pack_folder

PACK = "swin2sr_private_pack"
PYTHON = "SWIN2SR_COMFYUI_PYTHON"
"""The environment variable that names the Python which runs a checkout."""

_FOLDERS = ("input", "output", "temp", "user", "custom_nodes", "page")
_POLL = 0.1
_TAIL = 400

_STUB = """\
import importlib.util, sys
_folder = {folder!r}
_spec = importlib.util.spec_from_file_location(
    __name__, _folder + "/__init__.py", submodule_search_locations=[_folder])
_module = importlib.util.module_from_spec(_spec)
sys.modules[__name__] = _module
_spec.loader.exec_module(_module)
comfy_entrypoint = _module.comfy_entrypoint
"""
"""A pack that is another one, wherever that lies: links are not for everyone on Windows."""

_DEVICES = """\
import torch
kinds = (torch.cuda, getattr(torch.backends, "mps", None), getattr(torch, "xpu", None))
print(any(kind is not None and kind.is_available() for kind in kinds))
"""


class PrivateServer:
    """A ComfyUI that listens on a free port of this machine, for us alone, until we are gone.

    Its models are the checkout's; its user, input, output and temporary files lie in a folder of
    its own. It has this project's nodes besides ComfyUI's, and those of no other pack.
    """

    def __init__(self, checkout: Path, log_to: int | None = None) -> None:
        """Start it; `wait` tells when it is ready. Raises HostError."""
        self._checkout = checkout.expanduser().resolve()
        if not (self._checkout / "main.py").is_file():
            raise HostError(
                f"{checkout} is no ComfyUI checkout: it has no main.py; name the folder that has it"
            )
        self._python = python_of(self._checkout)
        self.base = Path(tempfile.mkdtemp(prefix="swin2sr-comfyui-"))
        self.log = self.base / "log.txt"
        try:
            self._prepare()
            self.port = _free_port()
            self.url = f"http://127.0.0.1:{self.port}"
            self._process = self._started()
        except BaseException:
            shutil.rmtree(self.base, ignore_errors=True)
            raise

    def wait(self, watch: Watch | None = None) -> None:
        """Until it answers. Raises HostError where it ends before, or `watch` says that it is over.

        What it says of itself is looked at: another server may have taken the port meanwhile.
        """
        while not self._answers():
            if self._process.poll() is not None:
                raise HostError(
                    f"the ComfyUI in {self._checkout} does not start with {self._python}: "
                    f"{self.last_words()}; set {PYTHON} to the Python that runs it"
                )
            if watch is not None and watch.over():
                raise HostError(f"the ComfyUI in {self._checkout} was not ready in time")
            time.sleep(_POLL)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        """The end of its log, in one line."""
        lines = [line.strip() for line in self._logged().splitlines() if line.strip()]
        return " ".join(lines[-1:])[-_TAIL:] or "its log is empty"

    def why_without(self, name: str) -> str:
        """What its log says about a pack that did not load."""
        lines = [each.strip() for each in self._logged().splitlines()]
        said = [each for each in lines if name in each or "Error" in each]
        return " ".join(said[-2:])[-_TAIL:] or "its log does not say why"

    def _logged(self) -> str:
        self._words.seek(0)
        return self._words.read().decode("utf-8", errors="replace")

    def close(self) -> None:
        """End it, and remove its folder; when this returns, both are gone."""
        stdin = self._process.stdin
        if stdin is not None:
            stdin.close()
        self._process.wait()
        self._words.close()
        shutil.rmtree(self.base, ignore_errors=True)

    def _prepare(self) -> None:
        for name in _FOLDERS:
            (self.base / name).mkdir()
        pack = self.base / "custom_nodes" / PACK
        pack.mkdir()
        stub = _STUB.format(folder=pack_folder().as_posix())
        (pack / "__init__.py").write_text(stub, encoding="utf-8")
        places = {"ours": {"custom_nodes": str(self.base / "custom_nodes")}}
        (self.base / "paths.yaml").write_text(json.dumps(places), encoding="utf-8")  # YAML, too

    def _started(self) -> subprocess.Popen[bytes]:
        base = self.base
        command = [
            *(self._python, "main.py", "--listen", "127.0.0.1", "--port", str(self.port)),
            *("--input-directory", str(base / "input")),
            *("--output-directory", str(base / "output")),
            *("--temp-directory", str(base)),
            *("--user-directory", str(base / "user")),
            *("--extra-model-paths-config", str(base / "paths.yaml")),
            *("--disable-all-custom-nodes", "--whitelist-custom-nodes", PACK),
            *("--database-url", "sqlite:///:memory:"),
            *("--disable-auto-launch", "--disable-api-nodes"),
            *("--front-end-root", str(base / "page")),  # nobody looks at it, nor has to install it
            *(() if _has_accelerator(self._python) else ("--cpu",)),
        ]
        guardian = Path(__file__).with_name("guardian.py")
        with self.log.open("wb") as log:
            self._words = self.log.open("rb")  # the folder may be gone when we want to know why
            return subprocess.Popen(
                [sys.executable, "-I", str(guardian), str(base), *command],
                cwd=self._checkout,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=os.name != "nt",
            )

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/system_stats", timeout=5) as answer:
                document = json.loads(answer.read(1 << 20))
            return str(self.base / "user") in document["system"]["argv"]
        except (OSError, ValueError, KeyError, TypeError):
            return False


def python_of(checkout: Path) -> str:
    """The Python that runs a checkout: the one that is named, one beside it, else this one."""
    if named := os.environ.get(PYTHON):
        return named
    program = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    places = [checkout / folder / program for folder in ("venv", ".venv")]
    places += [checkout.parent / "python_embeded" / "python.exe"] if os.name == "nt" else []
    return next((str(place) for place in places if place.is_file()), sys.executable)


def _has_accelerator(python: str) -> bool:
    """Whether that Python's torch has more than the CPU. Raises HostError."""
    try:
        asked = subprocess.run(
            [python, "-c", _DEVICES], capture_output=True, text=True, check=False, timeout=120
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"cannot run {python}: {error}; check {PYTHON}") from error
    if asked.returncode:
        why = asked.stderr.strip().rpartition("\n")[2]
        raise HostError(
            f"{python} cannot run ComfyUI: {why}; set {PYTHON} to the Python that runs it"
        )
    return asked.stdout.strip() == "True"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
