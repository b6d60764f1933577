"""From a workflow as it comes to a report: read, convert, check, run."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from .document.definitions import Definitions
from .document.graph import Graph, check_links
from .document.setting import with_value
from .document.source import Workflow, read_workflow
from .hosts.host import Host, Job, Progress
from .problems import HostError, Problem, WorkflowError
from .report import Report
from .staging import check_place, collect
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
        input_dir: str | Path | None = None,
        rerun: bool = False,
        queued: Callable[[str], None] | None = None,
    ) -> Report:
        """Run a workflow and tell how it went; only mistakes of the caller's code are raised.

        workflow: a JSON file in API or page format, a PNG that carries one, or the parsed JSON.
        inputs: files by the names that the workflow reads. values: "NODE.FIELD" -> value.
        out: the folder for outputs; previews go into its `temp`. timeout: in seconds.
        input_dir: in the place of the session's. rerun: use nothing that an earlier run has left.
        queued: is told what a server calls the run.
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
            return self._ended(watch.reason or "interrupted", begun, [])
        files = {name: Path(path) for name, path in (inputs or {}).items()}
        job = Job(
            prepared.graph,
            Path(out),
            files,
            prepared.page,
            prepared.extra,
            rerun=rerun,
            queued=queued,
        )
        return self._run(job, prepared.definitions, watch, progress, input_dir)

    def resume(
        self,
        prompt_id: str,
        *,
        out: str | Path = "output",
        timeout: float | None = None,
        should_stop: Callable[[], bool] | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Wait for a run that a server has already, and take its outputs."""
        job = Job({}, Path(out), resume=prompt_id)
        return self._run(job, None, Watch(timeout, should_stop), progress, None)

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
        job = Job(prepared.graph, out, inputs, prepared.page, prepared.extra)
        watch = Watch(timeout, should_stop)
        return self._run(job, prepared.definitions, watch, progress, None)

    def _run(
        self,
        job: Job,
        definitions: Definitions | None,
        watch: Watch,
        progress: Progress | None,
        input_dir: str | Path | None,
    ) -> Report:
        begun = time.perf_counter()
        try:
            check_place(job.out)
            if definitions is not None:
                folder = Path(input_dir) if input_dir is not None else self.input_dir
                folder = folder or self.host.input_folder
                job = replace(job, inputs=collect(job.graph, definitions, job.inputs, folder))
            result = self.host.run(job, watch, progress)
        except WorkflowError as error:
            return self._ended("refused", begun, error.problems)
        except HostError as error:
            found = [Problem(str(error), "no_host")]
            return self._ended("no_host", begun, found, error.prompt_id or job.resume)
        except KeyboardInterrupt:
            return self._ended(watch.reason or "interrupted", begun, [], job.resume)
        return Report(
            result.status,
            self.host.name,
            time.perf_counter() - begun,
            result.nodes,
            result.outputs,
            result.texts,
            result.errors or _reasons(result.status, watch.limit),
            result.prompt_id,
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
            graph = with_value(graph, target, value, definitions)
        check_links(graph)
        return Prepared(graph, definitions, read.page, read.extra)

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
        self,
        status: str,
        begun: float,
        problems: Sequence[Problem],
        prompt_id: str | None = None,
    ) -> Report:
        seconds = time.perf_counter() - begun
        errors = tuple(problems) or _reasons(status, None)
        return Report(status, self.host.name, seconds, errors=errors, prompt_id=prompt_id)


@dataclass(frozen=True)
class Prepared:
    """A workflow that is ready to run: its graph, and what the host knows about its nodes."""

    graph: Graph
    definitions: Definitions
    page: Mapping[str, object] | None
    extra: Mapping[str, object] = field(default_factory=dict)


def make_host(
    *,
    comfyui: str | Path | None = None,
    server: str | None = None,
    models: str | Path | None = None,
    headers: Sequence[str] = (),
    api_key: str | None = None,
) -> Host:
    """The host that is asked for: a ComfyUI checkout, a running server, or else the embedded one.

    models: for the embedded host, a folder laid out like ComfyUI's models. For servers: `headers`
    ("Name: value") go with every request, `api_key` is what nodes of paid services log in with.

    Raises HostError where it cannot start, WorkflowError for more than one.
    """
    if comfyui is not None and server is not None:
        raise WorkflowError.of("choose one host: --comfyui or --server", "usage")
    if models is not None and (comfyui is not None or server is not None):
        raise WorkflowError.of("--models is for the embedded host; the others have theirs", "usage")
    if server is None and (headers or api_key is not None):
        raise WorkflowError.of("--header and --api-key are for --server URL", "usage")
    if comfyui is not None:
        from .hosts.comfy_checkout import CheckoutHost

        return CheckoutHost(Path(comfyui))
    if server is not None:
        from .hosts.address import parse_address
        from .hosts.server import ServerHost

        account = {} if api_key is None else {"api_key_comfy_org": api_key}
        return ServerHost(parse_address(server, headers), account)
    from .hosts.embedded import EmbeddedHost

    if models is not None and not Path(models).is_dir():
        raise HostError(f"there is no folder {models} with models; check --models")
    return EmbeddedHost(None if models is None else Path(models))


_kept: dict[tuple[str, str], Session] = {}
"""The hosts of this process that keep something worth keeping: models, or a server of their own."""

_making = threading.Lock()


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
    the same host is not computed again; a checkout's server stays until this process ends. May be
    called from several threads: those on one host take turns. The report tells of every failure;
    nothing is raised.
    """
    try:
        session = _session(comfyui, server, models)
    except (WorkflowError, HostError) as error:
        return failed_start(error)
    return session.run(
        workflow, inputs=inputs, values=values, out=out, timeout=timeout, input_dir=input_dir
    )


def _session(comfyui: str | Path | None, server: str | None, models: str | Path | None) -> Session:
    """A session on the host that is asked for, made once. Raises WorkflowError and HostError."""
    if server is not None:
        return Session(make_host(comfyui=comfyui, server=server, models=models))
    place = models if comfyui is None else comfyui
    key = ("models" if comfyui is None else "comfyui", str(place and Path(place).absolute()))
    with _making:
        if key not in _kept:
            _kept[key] = Session(make_host(comfyui=comfyui, models=models))
            atexit.register(_kept[key].host.close)
        return _kept[key]


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
