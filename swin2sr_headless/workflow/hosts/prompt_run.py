"""One prompt on a server: its inputs, its place in the queue, its end, and its outputs."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from swin2sr_core.errors import InputError

from ..document.definitions import Definitions
from ..document.graph import Graph, Node, to_api
from ..document.paths import escape
from ..problems import HostError, Problem, WorkflowError
from ..report import OutputFile
from ..staging import named_inputs
from ..watch import Watch
from .history import asked, entry_of, queued
from .host import Job, Progress, Result, files_of, texts_of
from .http_client import Answer, Client, Missing
from .messages import Timeline, refusal
from .socket_progress import following

_POLLS = (0.05, 0.5)
"""Seconds between looks into the queue, at first and later."""

_PATIENCE = 300.0
"""Seconds that a server may be out of reach while a workflow runs, where there is no time limit."""

_PAUSE = 0.5
_FAREWELL = 5.0
"""Seconds for telling a server to stop, after the time is up."""

UPLOADS = "swin2sr"
"""The folder for inputs on a server: named by their content, so that none lies there twice."""

_ANEW = "swin2sr_run"
"""An input that no node has: with a value of its own, no result that was kept is of this node."""


class Place(Protocol):
    """The server that a prompt runs on, as far as servers differ."""

    account: Mapping[str, str]
    """What nodes of paid services log in with, as a prompt's `extra_data` has it."""

    def bring(self, client: Client, name: str, path: Path) -> str:
        """Have the server have an input file; the name that workflows have for it there.

        Raises HostError, WorkflowError.
        """
        ...

    def target(self, path: Path) -> Path:
        """Where an output of that name goes: nothing is overwritten."""
        ...

    def is_gone(self) -> bool:
        """Whether the server is known to have ended, and not just out of reach."""
        ...


class PromptRun:
    """A job on its way through a server, which calls it `prompt_id` as soon as it has it."""

    def __init__(
        self,
        client: Client,
        definitions: Definitions,
        job: Job,
        watch: Watch,
        progress: Progress | None,
        place: Place,
    ) -> None:
        self._client, self._definitions, self._job, self._watch = client, definitions, job, watch
        self._place = place
        self._graph = job.graph
        self._timeline = Timeline(job.graph, progress)
        self.prompt_id = job.resume

    def result(self) -> Result:
        """Bring it there, wait, and take what came of it. Raises HostError, WorkflowError."""
        client_id = uuid.uuid4().hex
        if self._job.resume is None:
            self._graph = self._prepared()
        with following(self._client.address, client_id, self._timeline.message):
            if self.prompt_id is None:
                self.prompt_id = self._queue(client_id)
            if self._job.queued is not None:
                self._job.queued(self.prompt_id)
            try:
                entry = self._follow(self.prompt_id)
            except KeyboardInterrupt:
                self._cancel(self.prompt_id)
                raise
        return self.given_up() if entry is None else self._collected(entry)

    def given_up(self) -> Result:
        """What there is to tell where the time is up, or the user wants to stop."""
        if self.prompt_id is not None:
            self._cancel(self.prompt_id)
        reason = self._watch.reason or "timeout"
        return Result(reason, self._timeline.nodes(), prompt_id=self.prompt_id)

    # -- inputs ----------------------------------------------------------------------------------

    def _prepared(self) -> Graph:
        """The graph as the server is to run it: with the names that its inputs have there."""
        bring, client = self._place.bring, self._client
        names = {name: bring(client, name, path) for name, path in self._job.inputs.items()}
        places = named_inputs(self._graph, self._definitions)
        graph = self._graph
        if places and names:
            graph = {node_id: self._moved(node, names) for node_id, node in graph.items()}
        if self._job.rerun:
            mark = uuid.uuid4().hex
            graph = {i: replace(n, inputs={**n.inputs, _ANEW: mark}) for i, n in graph.items()}
        return graph

    def _moved(self, node: Node, names: Mapping[str, str]) -> Node:
        known = self._definitions[node.class_type].by_name
        inputs = {
            field: names.get(str(value), value)
            if isinstance(value, str) and field in known and known[field].is_file
            else value
            for field, value in node.inputs.items()
        }
        return replace(node, inputs=inputs)

    # -- the queue -------------------------------------------------------------------------------

    def _queue(self, client_id: str) -> str:
        """Queue the prompt; its id. Raises WorkflowError where the server refuses any of it."""
        extra: dict[str, object] = {**self._job.extra, **self._place.account}
        if self._job.page is not None:
            extra["extra_pnginfo"] = {"workflow": dict(self._job.page)}
        body: dict[str, object] = {"prompt": to_api(self._graph), "client_id": client_id}
        try:
            answer = self._client.post("/prompt", body | ({"extra_data": extra} if extra else {}))
        except Answer as error:
            document = error.document if isinstance(error.document, Mapping) else {}
            if error.status == 400 and document:
                found = refusal(document.get("error"), document.get("node_errors"))
                raise WorkflowError(found) from error
            raise HostError(
                f"the server at {self._client.url} answered the workflow with {error}: "
                f"{' '.join(str(error.document).split())[:200]}"
            ) from error
        prompt_id, node_errors = answer.get("prompt_id"), answer.get("node_errors")
        if not isinstance(prompt_id, str):
            raise HostError(
                f"what answers at {self._client.url} is no ComfyUI server: it gave no id to the "
                "workflow; check --server"
            )
        if node_errors:  # it would run the rest
            self._cancel(prompt_id)
            raise WorkflowError(refusal(None, node_errors))
        return prompt_id

    def _follow(self, prompt_id: str) -> Mapping[str, object] | None:
        """The prompt's history once it has ended; None if we are to stop before.

        A server that is out of reach is tried until the time is up: the prompt goes on there.

        Raises HostError where it stays away, or has forgotten the prompt.
        """
        watch, wait, unknown, lost = self._watch, _POLLS[0], 0, None
        while not watch.over():
            try:
                entry = entry_of(self._client, prompt_id)
                if entry is not None:
                    return entry
                unknown = 0 if queued(self._client, prompt_id) is not None else unknown + 1
                lost = None
            except HostError as error:
                now = time.monotonic()
                lost = lost or now
                if self._place.is_gone() or (watch.until is None and now - lost >= _PATIENCE):
                    raise HostError(
                        f"the server died while the workflow ran: {error}; if it comes back, "
                        f"--resume {prompt_id} goes on with it"
                    ) from error
                watch.pause(_PAUSE)
            if unknown > 5:
                raise HostError(
                    f"the server at {self._client.url} does not know the workflow any more: it was "
                    "started anew, or its history was cleared; run it again"
                )
            watch.pause(wait)
            wait = min(wait * 1.3, _POLLS[1])
        return None

    def _cancel(self, prompt_id: str) -> None:
        """Take the prompt out of the queue, or stop it if it runs; never another one."""
        client = Client(self._client.address, time.monotonic() + _FAREWELL)
        with suppress(HostError, Answer):  # it is over for us either way
            client.post("/queue", {"delete": [prompt_id]})
            running = asked(client, "/queue").get("queue_running")
            if isinstance(running, list) and any(
                isinstance(entry, list) and prompt_id in entry for entry in running
            ):
                client.post("/interrupt", {"prompt_id": prompt_id})

    # -- what came of it -------------------------------------------------------------------------

    def _collected(self, entry: Mapping[str, object]) -> Result:
        timeline, graph = self._timeline, self._graph
        status = entry.get("status")
        messages = status.get("messages") if isinstance(status, Mapping) else None
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, list) and len(message) == 2 and isinstance(message[1], Mapping):
                timeline.history(str(message[0]), message[1])
        shown = entry.get("outputs")
        if not isinstance(shown, Mapping):
            raise HostError(
                f"what answers at {self._client.url} is no ComfyUI server: its history has no "
                "outputs; check --server"
            )
        known = {
            str(node): entries
            for node, entries in shown.items()
            if node in graph and isinstance(entries, Mapping)
        }
        outputs: list[OutputFile] = []
        for node, item in files_of(known):
            try:
                outputs.append(self._downloaded(node, item))
            except Missing as error:
                return self._lacking(outputs, node, error)
            except (InputError, OSError) as error:  # ran, but is not to be kept here
                text = f"its output cannot be kept: {getattr(error, 'strerror', None) or error}"
                return self._failed(outputs, node, text)
        return Result(
            timeline.status(self._watch.reason),
            timeline.nodes(),
            tuple(outputs),
            texts_of(known),
            timeline.errors,
            self.prompt_id,
        )

    def _lacking(self, outputs: list[OutputFile], node: str, error: Missing) -> Result:
        """A file is gone that the server has made, now or in an earlier run."""
        if node not in self._timeline.cached:
            error.prompt_id = self.prompt_id
            raise error
        text = f"it was made in an earlier run, and is gone since ({error}); --rerun makes it again"
        return self._failed(outputs, node, text)

    def _failed(self, outputs: list[OutputFile], node: str, text: str) -> Result:
        problem = Problem(text, "output", node, self._graph[node].class_type)
        nodes = self._timeline.nodes()
        return Result("failed", nodes, tuple(outputs), {}, (problem,), self.prompt_id)

    def _downloaded(self, node: str, item: Mapping[str, object]) -> OutputFile:
        query = {name: str(item.get(name) or "") for name in ("filename", "subfolder", "type")}
        kind = query["type"] or "output"
        name = "/".join(part for part in (query["subfolder"], query["filename"]) if part)
        out = self._job.out
        folder = out / "temp" if kind == "temp" else out
        if why := escape(name, "output", folder):
            raise HostError(
                f"the server at {self._client.url} names an output that was not taken: "
                f"{why.partition(';')[0]}"
            )
        target = self._place.target(folder / name)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._client.download(query, target)
        return OutputFile.of(target, node, kind)


def upload(client: Client, name: str, path: Path, sent: dict[str, str]) -> str:
    """Bring a file to a server, unless it is there; the name that it has there.

    sent: what was brought in this session, by content: the names that it has there. It is added.

    Raises HostError, WorkflowError.
    """
    try:
        digest, size = _digest(path), path.stat().st_size
        file = f"{digest}{PurePosixPath(name).suffix.lower()}"
        query = {"filename": file, "subfolder": UPLOADS, "type": "input"}
        if file not in sent:
            there = client.size_of(query) == size
            sent[file] = f"{UPLOADS}/{file}" if there else client.upload(path, UPLOADS, file, name)
        return sent[file]
    except OSError as error:
        raise WorkflowError.of(
            f"cannot read the input {path}: {error.strerror or error}", "missing_file"
        ) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()[:32]


def free_name(path: Path) -> Path:
    """The path, or one beside it with a number: nothing is overwritten."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.stem} ({number}){path.suffix}")
        number += 1
    return candidate
