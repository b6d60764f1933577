"""The host that is a running ComfyUI: inputs up, the prompt into its queue, outputs down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..document.definitions import Definitions, parse_definitions
from ..document.paths import check_names
from ..problems import HostError, WorkflowError
from ..watch import Watch
from .address import Address
from .history import recorded
from .host import Job, Progress, Result
from .http_client import Answer, Client
from .prompt_run import PromptRun, free_name, upload


class ServerHost:
    """Runs workflows on a server; it finds models and everything else there."""

    name = "server"
    input_folder = None

    def __init__(self, address: Address, account: Mapping[str, str] | None = None) -> None:
        """The server is asked when it is needed. account: see Place."""
        self._address = address
        self.account: Mapping[str, str] = dict(account or {})
        self._definitions: Definitions | None = None
        self._sent: dict[str, str] = {}

    def definitions(self, watch: Watch | None = None) -> Definitions:
        """As the server told the first time: a server's nodes stay as long as it runs."""
        if self._definitions is None:
            self._definitions = self._asked(Client(self._address, watch.until if watch else None))
        return self._definitions

    def explain_unknown(self, class_type: str) -> str:
        return (
            f"the ComfyUI at {self._address.url} does not have this node; install the node pack "
            "that has it there"
        )

    def run(self, job: Job, watch: Watch, progress: Progress | None = None) -> Result:
        """See Host. A job that is to be resumed may have no graph: the server has it."""
        client = Client(self._address, watch.until)
        if job.resume is not None and not job.graph:
            job = job.with_graph(recorded(client, job.resume))
        if job.resume is None:
            problems = check_names(job.graph, self.definitions(watch))
            if problems:
                raise WorkflowError(problems)
        run = PromptRun(client, self.definitions(watch), job, watch, progress, self)
        try:
            return run.result()
        except HostError as error:
            if not watch.over():
                error.prompt_id = run.prompt_id
                raise
            return run.given_up()

    def bring(self, client: Client, name: str, path: Path) -> str:
        """See Place."""
        return upload(client, name, path, self._sent)

    def target(self, path: Path) -> Path:
        """See Place."""
        return free_name(path)

    def is_gone(self) -> bool:
        """See Place."""
        return False

    def close(self) -> None:
        self._definitions = None

    def _asked(self, client: Client) -> Definitions:
        try:
            info = client.get("/object_info")
        except Answer as answer:
            why = f"answered /object_info with {answer}; is it a ComfyUI?"
            if answer.status in (401, 403, 407):
                why = (
                    f"asks who you are ({answer}); give user:password or a token in the address, "
                    "or --header"
                )
            raise HostError(f"the server at {client.url} {why}") from answer
        found = parse_definitions(info)
        if not any(each.is_output for each in found.values()):
            raise HostError(
                f"what answers at {client.url} is no ComfyUI server: it names no node that could "
                "save anything; check --server"
            )
        return found
