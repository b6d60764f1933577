"""From a workflow as it comes to a report: read, convert, check, run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from .document.definitions import Definitions
from .document.graph import Graph, check_links, with_value
from .document.source import Workflow, read_workflow
from .hosts.host import Host, Job, Progress
from .problems import HostError, Problem, WorkflowError
from .report import Report
from .staging import collect
from .watch import Watch

Source = str | Path | Mapping[str, object]


class Session:
    """A host, and runs on it one after the other; what one has loaded the next finds loaded.

    with Session(make_host(server="http://127.0.0.1:8188")) as session:
        report = session.run("upscale.json", inputs={"example.png": "photo.jpg"})
    """

    def __init__(self, host: Host, input_dir: str | Path | None = None) -> None:
        """input_dir: where inputs are looked for that a run is not given."""
        self.host = host
        self.input_dir = None if input_dir is None else Path(input_dir)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.host.close()

    def run(
        self,
        workflow: Source,
        *,
        inputs: Mapping[str, str | Path] | None = None,
        values: Mapping[str, object] | None = None,
        out: str | Path = "output",
        timeout: float | None = None,
        should_stop: Callable[[], bool] | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Run a workflow and tell how it went; only mistakes of the caller's code are raised.

        workflow: a JSON file in API or page format, a PNG that carries one, or the parsed JSON.
        inputs: files by the names that the workflow reads. values: "NODE.FIELD" -> value.
        out: the folder for outputs; previews go into its `temp`. timeout: in seconds.
        """
        begun = time.perf_counter()
        watch = Watch(timeout, should_stop)
        try:
            prepared = self.prepare(workflow, values or {}, watch)
        except WorkflowError as error:
            return self._ended("refused", begun, error.problems)
        except HostError as error:
            if watch.over():
                return self._ended(watch.reason or "timeout", begun, [])
            return self._ended("no_host", begun, [Problem(str(error), "no_host")])
        except KeyboardInterrupt:
            return self._ended("interrupted", begun, [])
        files = {name: Path(path) for name, path in (inputs or {}).items()}
        return self.run_prepared(prepared, files, Path(out), timeout, should_stop, progress)

    def run_prepared(
        self,
        prepared: Prepared,
        inputs: Mapping[str, Path],
        out: Path,
        timeout: float | None = None,
        should_stop: Callable[[], bool] | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """`run` for a workflow that has been read already."""
        begun = time.perf_counter()
        watch = Watch(timeout, should_stop)
        try:
            files = self._files(prepared, inputs)
            job = Job(prepared.graph, out, files, prepared.page)
            result = self.host.run(job, watch, progress)
        except WorkflowError as error:
            return self._ended("refused", begun, error.problems)
        except HostError as error:
            return self._ended("no_host", begun, [Problem(str(error), "no_host")])
        except KeyboardInterrupt:
            return self._ended(watch.reason or "interrupted", begun, [])
        return Report(
            result.status,
            self.host.name,
            time.perf_counter() - begun,
            result.nodes,
            result.outputs,
            result.texts,
            result.errors or _reasons(result.status, timeout),
        )

    def prepare(
        self, workflow: Source, values: Mapping[str, object], watch: Watch | None = None
    ) -> Prepared:
        """Read a workflow and set values in it. Raises WorkflowError and HostError."""
        read = workflow if isinstance(workflow, Workflow) else read_workflow(workflow)
        definitions = self.host.definitions(watch)
        graph = read.graph(definitions, self.host.explain_unknown)
        self._check_classes(graph, definitions)
        for target, value in values.items():
            graph = with_value(graph, target, value)
        check_links(graph)
        return Prepared(graph, definitions, read.page)

    def _files(self, prepared: Prepared, given: Mapping[str, Path]) -> dict[str, Path]:
        """The input files of a prepared workflow. Raises WorkflowError."""
        folder = self.input_dir or self.host.input_folder
        return collect(prepared.graph, prepared.definitions, given, folder)

    def _check_classes(self, graph: Graph, definitions: Definitions) -> None:
        unknown = [
            Problem(
                self.host.explain_unknown(node.class_type),
                "unknown_class",
                node_id,
                node.class_type,
            )
            for node_id, node in graph.items()
            if node.class_type not in definitions
        ]
        if unknown:
            raise WorkflowError(unknown)

    def _ended(
        self, status: str, begun: float, problems: tuple[Problem, ...] | list[Problem]
    ) -> Report:
        seconds = time.perf_counter() - begun
        errors = tuple(problems) or _reasons(status, None)
        return Report(status, self.host.name, seconds, errors=errors)


class Prepared:
    """A workflow that is ready to run: its graph, and what the host knows about its nodes."""

    def __init__(
        self, graph: Graph, definitions: Definitions, page: Mapping[str, object] | None
    ) -> None:
        self.graph, self.definitions, self.page = graph, definitions, page


def make_host(
    *,
    comfyui: str | Path | None = None,
    server: str | None = None,
    models: str | Path | None = None,
) -> Host:
    """The host that is asked for: a ComfyUI checkout, a running server, or else the embedded one.

    models: for the embedded host, a folder laid out like ComfyUI's models.

    Raises HostError where it cannot start, WorkflowError for more than one.
    """
    if comfyui is not None and server is not None:
        raise WorkflowError.of("choose one host: --comfyui or --server", "usage")
    if models is not None and (comfyui is not None or server is not None):
        raise WorkflowError.of("--models is for the embedded host; the others have theirs", "usage")
    if comfyui is not None:
        from .hosts.comfy_checkout import CheckoutHost

        return CheckoutHost(Path(comfyui))
    if server is not None:
        from .hosts.server import ServerHost

        return ServerHost(server)
    from .hosts.embedded import EmbeddedHost

    if models is not None and not Path(models).is_dir():
        raise HostError(f"there is no folder {models} with models; check --models")
    return EmbeddedHost(None if models is None else Path(models))


_kept: dict[Path | None, Session] = {}
"""The embedded hosts of this process, by their model folder: their models stay loaded."""


def run_workflow(
    workflow: Source,
    *,
    inputs: Mapping[str, str | Path] | None = None,
    values: Mapping[str, object] | None = None,
    out: str | Path = "output",
    comfyui: str | Path | None = None,
    server: str | None = None,
    models: str | Path | None = None,
    input_dir: str | Path | None = None,
    timeout: float | None = None,
) -> Report:
    """Run one workflow: without any ComfyUI, with a checkout's, or on a server.

    See `Session.run` and `make_host` for the arguments. What did not change since the last call on
    the embedded host is not computed again. The report tells of every failure; nothing is raised.
    """
    key = None if models is None else Path(models).absolute()
    if comfyui is None and server is None and key in _kept:
        session = _kept[key]
    else:
        try:
            session = Session(make_host(comfyui=comfyui, server=server, models=models))
        except (WorkflowError, HostError) as error:
            return failed_start(error)
        if comfyui is None and server is None:
            _kept[key] = session
    session.input_dir = None if input_dir is None else Path(input_dir)
    return session.run(workflow, inputs=inputs, values=values, out=out, timeout=timeout)


def failed_start(error: WorkflowError | HostError) -> Report:
    """The report of a run that had no host."""
    if isinstance(error, WorkflowError):
        return Report("refused", "none", 0.0, errors=error.problems)
    return Report("no_host", "none", 0.0, errors=(Problem(str(error), "no_host"),))


def _reasons(status: str, timeout: float | None) -> tuple[Problem, ...]:
    if status == "timeout":
        limit = "in time" if timeout is None else f"within {timeout:g} s"
        return (Problem(f"the workflow was not done {limit}; it was stopped", "timeout"),)
    if status == "interrupted":
        return (Problem("interrupted; nothing half-written is left", "interrupted"),)
    return ()
