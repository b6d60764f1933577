"""The host that is a ComfyUI checkout: a server of our own, which nobody else talks to."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from ..document.definitions import Definitions
from ..document.known_classes import who_has
from ..problems import HostError
from ..staging import stage
from ..watch import Watch
from .address import Address
from .host import Job, Progress, Result
from .http_client import Client
from .private_server import PACK, PrivateServer
from .prompt_run import free_name
from .server import ServerHost

_OURS = "Swin2SR_TiledUpscale"
_NUMBERED = re.compile(r"(.*_)(\d{5,})(_?\.[^.]+)")


class CheckoutHost(ServerHost):
    """ComfyUI's own nodes and this project's, as that checkout has them.

    The server starts with the host, and is ready when it is asked for the first time. Runs take
    turns: their inputs have the same names in the server's own folder.
    """

    name = "comfyui"

    def __init__(self, checkout: Path) -> None:
        """Raises HostError where the server cannot be started."""
        self._checkout = checkout.expanduser().resolve()
        self._server = PrivateServer(checkout)
        self._turn = threading.Lock()
        super().__init__(Address(self._server.url))

    @property
    def input_folder(self) -> Path:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The checkout's own."""
        return self._checkout / "input"

    def definitions(self, watch: Watch | None = None) -> Definitions:
        """See ServerHost. Raises HostError where this project's nodes are not among them."""
        self._server.wait(watch)
        found = super().definitions(watch)
        if _OURS not in found:
            raise HostError(
                f"the nodes of Swin2SR do not load into the ComfyUI in {self._checkout}, which has "
                f"to be 0.3.64 or newer: {self._server.why_without(PACK)}"
            )
        return found

    def explain_unknown(self, class_type: str) -> str:
        return who_has(class_type, in_process=True)

    def run(self, job: Job, watch: Watch, progress: Progress | None = None) -> Result:
        """See Host."""
        while not self._turn.acquire(timeout=0.05):
            if watch.over():
                raise KeyboardInterrupt
        try:
            stage(job.inputs, self._server.base / "input")
            return super().run(job, watch, progress)
        except HostError as error:
            if self._server.is_running:
                raise
            raise HostError(
                f"the ComfyUI in {self._checkout} died while the workflow ran: "
                f"{self._server.last_words()}"
            ) from error
        finally:
            self._turn.release()

    def bring(self, client: Client, name: str, path: Path) -> str:
        """See Place: it lies in the server's own folder, under its own name."""
        return name

    def target(self, path: Path) -> Path:
        """See Place: numbered as ComfyUI would, if that folder were its own."""
        match = _NUMBERED.fullmatch(path.name)
        if match is None:
            return free_name(path)
        there = path.parent.iterdir() if path.parent.is_dir() else ()
        others = (_NUMBERED.fullmatch(each.name) for each in there)
        numbers = [int(other[2]) for other in others if other and other[1] == match[1]]
        return path.with_name(_numbered(match, max(numbers, default=0) + 1))

    def is_gone(self) -> bool:
        """See Place."""
        return not self._server.is_running

    def close(self) -> None:
        super().close()
        self._server.close()


def _numbered(name: re.Match[str], number: int) -> str:
    return f"{name[1]}{number:05}{name[3]}"
