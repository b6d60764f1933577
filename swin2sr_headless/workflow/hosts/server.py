"""The host that is a running ComfyUI: inputs up, the prompt into its queue, outputs down."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from swin2sr_core.errors import InputError

from ..document.definitions import Definitions, parse_definitions
from ..document.graph import Graph, Node, to_api
from ..document.paths import check_names, escape
from ..problems import HostError, Problem, WorkflowError
from ..report import OutputFile
from ..staging import named_inputs
from ..watch import Watch
from .host import Job, Progress, Result, files_of, texts_of
from .http_client import Answer, Client
from .messages import Timeline, refusal
from .socket_progress import following

_POLLS = (0.05, 0.5)
"""Seconds between looks into the queue, at first and later."""

_ATTEMPTS = 4
"""How often in a row a server may fail to answer while a workflow runs."""

_PAUSE = 0.5

_FAREWELL = 5.0
"""Seconds for telling a server to stop, after the time is up."""


class ServerHost:
    """Runs workflows on a server; it finds models and everything else there."""

    name = "server"
    input_folder = None

    def __init__(self, url: str) -> None:
        """Raises WorkflowError for what is no address; the server is asked when it is needed."""
        self._client = Client(url)
        self._id = uuid.uuid4().hex
        self._definitions: Definitions | None = None
        self._uploaded: dict[str, tuple[tuple[str, int, int], str]] = {}

    def definitions(self, watch: Watch | None = None) -> Definitions:
        """As the server told the first time: a server's nodes stay as long as it runs."""
        if self._definitions is None:
            if watch is not None:
                self._client.until = watch.until
            info = self._get("/object_info")
            found = parse_definitions(info)
            if not any(each.is_output for each in found.values()):
                raise HostError(
                    f"what answers at {self._client.url} is no ComfyUI server: it names no node "
                    "that could save anything; check --server"
                )
            self._definitions = found
        return self._definitions

    def explain_unknown(self, class_type: str) -> str:
        return (
            f"the ComfyUI at {self._client.url} does not have this node; install the node pack "
            "that has it there"
        )

    def run(self, job: Job, watch: Watch, progress: Progress | None = None) -> Result:
        """See Host."""
        problems = check_names(job.graph, self.definitions())
        if problems:
            raise WorkflowError(problems)
        timeline = Timeline(job.graph, progress)
        self._client.until = watch.until
        try:
            return self._run(job, watch, timeline)
        except HostError:
            if not watch.over():
                raise
            return Result(watch.reason or "timeout", timeline.nodes())
        finally:
            self._client.until = None

    def close(self) -> None:
        self._definitions = None

    def _run(self, job: Job, watch: Watch, timeline: Timeline) -> Result:
        graph = self._with_uploads(job)
        with following(self._client.url, self._id, timeline.message):
            prompt_id = self._queue(graph, job.page)
            try:
                entry = self._follow(prompt_id, watch)
            except (KeyboardInterrupt, HostError):
                self._cancel(prompt_id)
                raise
        if entry is None:
            self._cancel(prompt_id)
            return Result(watch.reason or "interrupted", timeline.nodes())
        return self._collected(entry, timeline, graph, job.out, watch)

    # -- inputs ----------------------------------------------------------------------------------

    def _with_uploads(self, job: Job) -> Graph:
        """The graph, reading its inputs from a folder of our own on the server."""
        names = {name: self._upload(name, path) for name, path in job.inputs.items()}
        places = named_inputs(job.graph, self.definitions())
        definitions = self.definitions()

        def moved(node: Node) -> Node:
            known = definitions[node.class_type].by_name
            inputs = {
                field: names.get(str(value), value)
                if isinstance(value, str) and field in known and known[field].is_file
                else value
                for field, value in node.inputs.items()
            }
            return replace(node, inputs=inputs)

        return {i: moved(n) for i, n in job.graph.items()} if places and names else job.graph

    def _upload(self, name: str, path: Path) -> str:
        """Bring a file there, unless it is; the name that it has there."""
        try:
            stat = path.stat()
            version = (str(path), stat.st_mtime_ns, stat.st_size)
            before = self._uploaded.get(name)
            if before is not None and before[0] == version:
                return before[1]
            *folders, file = name.replace("\\", "/").split("/")
            folder = "/".join(["swin2sr-run", self._id[:12], *folders])
            stored = self._client.upload(path, folder, file)
        except OSError as error:
            raise WorkflowError.of(
                f"cannot read the input {path}: {error.strerror or error}", "missing_file"
            ) from error
        self._uploaded[name] = (version, stored)
        return stored

    # -- the queue -------------------------------------------------------------------------------

    def _queue(self, graph: Graph, page: Mapping[str, object] | None) -> str:
        """Queue the prompt; its id. Raises WorkflowError where the server refuses any of it."""
        body: dict[str, object] = {"prompt": to_api(graph), "client_id": self._id}
        if page is not None:
            body["extra_data"] = {"extra_pnginfo": {"workflow": dict(page)}}
        try:
            answer = self._client.post("/prompt", body)
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

    def _follow(self, prompt_id: str, watch: Watch) -> Mapping[str, object] | None:
        """The prompt's history once it has ended; None if we are to stop before.

        Raises HostError where the server is gone, or has forgotten the prompt.
        """
        wait, failures, unknown = _POLLS[0], 0, 0
        while not watch.over():
            try:
                entry = self._get(f"/history/{prompt_id}").get(prompt_id)
                if isinstance(entry, Mapping):
                    return entry
                unknown = 0 if self._is_queued(prompt_id) else unknown + 1
                failures = 0
            except HostError as error:
                failures += 1
                if watch.over():
                    return None
                if failures >= _ATTEMPTS:
                    raise HostError(f"the server died while the workflow ran: {error}") from error
                time.sleep(_PAUSE)
            if unknown > 5:
                raise HostError(
                    f"the server at {self._client.url} does not know the workflow any more: it was "
                    "started anew, or its history was cleared; run it again"
                )
            time.sleep(wait if watch.left is None else min(wait, watch.left))
            wait = min(wait * 1.3, _POLLS[1])
        return None

    def _is_queued(self, prompt_id: str) -> bool:
        queue = self._get("/queue")
        items = [queue.get(part) for part in ("queue_running", "queue_pending")]
        lists = [each for each in items if isinstance(each, list)]
        if len(lists) != 2:
            raise HostError(
                f"what answers at {self._client.url} is no ComfyUI server: its queue has no lists"
            )
        return any(
            isinstance(entry, list) and prompt_id in entry for each in lists for entry in each
        )

    def _cancel(self, prompt_id: str) -> None:
        """Take the prompt out of the queue, or stop it if it runs; never another one."""
        self._client.until = time.monotonic() + _FAREWELL
        try:
            self._client.post("/queue", {"delete": [prompt_id]})
            running = self._get("/queue").get("queue_running")
            ours = isinstance(running, list) and any(
                isinstance(entry, list) and prompt_id in entry for entry in running
            )
            if ours:
                self._client.post("/interrupt", {"prompt_id": prompt_id})
        except (HostError, Answer):
            pass  # it is over for us either way

    # -- what came of it -------------------------------------------------------------------------

    def _collected(
        self,
        entry: Mapping[str, object],
        timeline: Timeline,
        graph: Graph,
        out: Path,
        watch: Watch,
    ) -> Result:
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
                outputs.append(self._downloaded(node, item, out))
            except (InputError, OSError) as error:  # ran, but is not to be kept here
                text = f"its output cannot be kept: {getattr(error, 'strerror', None) or error}"
                problem = Problem(text, "output", node, graph[node].class_type)
                return Result("failed", timeline.nodes(), tuple(outputs), {}, (problem,))
        ended = timeline.status(watch.reason)
        return Result(ended, timeline.nodes(), tuple(outputs), texts_of(known), timeline.errors)

    def _downloaded(self, node: str, item: Mapping[str, object], out: Path) -> OutputFile:
        query = {name: str(item.get(name) or "") for name in ("filename", "subfolder", "type")}
        kind = query["type"] or "output"
        name = "/".join(part for part in (query["subfolder"], query["filename"]) if part)
        folder = out / "temp" if kind == "temp" else out
        if why := escape(name, "output", folder):
            raise HostError(
                f"the server at {self._client.url} names an output that was not taken: "
                f"{why.partition(';')[0]}"
            )
        target = _free(folder / name)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._client.download(query, target)
        return OutputFile.of(target, node, kind)

    def _get(self, path: str) -> dict[str, object]:
        try:
            return self._client.get(path)
        except Answer as answer:
            raise HostError(
                f"the server at {self._client.url} answered {path} with {answer}; is it a ComfyUI?"
            ) from answer


def _free(path: Path) -> Path:
    """The path, or one beside it with a number: nothing is overwritten."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_name(f"{path.stem} ({number}){path.suffix}")
        number += 1
    return candidate
