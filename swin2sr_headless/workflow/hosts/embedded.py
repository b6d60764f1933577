"""The host without a ComfyUI: this pack's nodes and a few of ComfyUI's, on the stand-in."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from swin2sr_core.models import catalog
from swin2sr_core.temporary import temporary_folder

from ... import comfy_stub
from ...comfy_stub import folder_paths, model_management, progress
from ...comfy_stub import io_types as io
from ..document.definitions import NodeDefinition, parse_definitions
from ..document.graph import Graph, Node, to_api
from ..document.known_classes import who_has
from ..document.paths import check_names
from ..document.validation import validate
from ..execution import (
    core_nodes,
    image_nodes,
    model_nodes,
    resizing_nodes,
    value_nodes,
    video_nodes,
)
from ..execution.execution import Classes, Executor, Run, constants, missing_files, overridden
from ..problems import Problem, WorkflowError
from ..report import OutputFile
from ..staging import stage
from ..watch import Watch
from .host import Job, Progress, Result, files_of, texts_of
from .pack import load_pack


class EmbeddedHost:
    """Runs graphs in this process; models and results stay loaded between runs."""

    name = "embedded"
    input_folder = None

    def __init__(self, models: Path | None = None) -> None:
        """models: a folder laid out like ComfyUI's (swin2sr, upscale_models); None: our own."""
        self._models = models
        self._base = temporary_folder()
        self._executor: Executor | None = None

    @cached_property
    def _input(self) -> Path:
        return Path(self._base.name, "input")

    def definitions(self, watch: Watch | None = None) -> Mapping[str, NodeDefinition]:
        """Of the classes as they are now: lists of files may have changed."""
        with self._standing(watch):
            return parse_definitions(
                {name: node.GET_NODE_INFO_V1() for name, node in self._classes.items()}
            )

    def told_definitions(self) -> dict[str, dict[str, object]]:
        """What a conversion has to know of the classes: no texts for people, no lists of files."""
        with self._standing():
            infos = {name: node.GET_NODE_INFO_V1() for name, node in self._classes.items()}
        kept = ("input", "input_order", "output", "display_name", "output_node")
        return {
            name: {key: _plain(info[key]) for key in kept if key in info}
            for name, info in sorted(infos.items())
        }

    def explain_unknown(self, class_type: str) -> str:
        return who_has(class_type, in_process=False)

    def run(self, job: Job, watch: Watch, progress: Progress | None = None) -> Result:
        """See Host."""
        folders = {"input": self._input, "output": job.out, "temp": job.out / "temp"}
        with self._standing(watch):
            definitions = self.definitions()
            if job.rerun and self._executor is not None:
                self._executor.forget()
            folder_paths.set_output_directory(str(job.out.absolute()))
            folder_paths.set_temp_directory(str((job.out / "temp").absolute()))
            problems = check_names(job.graph, definitions, folders)
            if problems:
                raise WorkflowError(problems)
            stage(job.inputs, self._input)
            graph, outputs = validate(job.graph, definitions, self._own_checks)
            self._check_own(graph)
            run = self._execute(graph, outputs, job, watch, progress)
        return _result(run, watch, folders)

    def close(self) -> None:
        if self._executor is not None:
            self._executor.forget()
        self._base.cleanup()

    # -- inside ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _standing(self, watch: Watch | None = None) -> Iterator[None]:
        """The stand-in in the place of ComfyUI, with this host's folders, for this thread alone."""

        def wait() -> None:
            if watch is not None and watch.over():
                raise KeyboardInterrupt

        with comfy_stub.lent(wait):
            if folder_paths.get_input_directory() != str(self._input):
                comfy_stub.start(Path(self._base.name))
                self._input.mkdir(exist_ok=True)
                if self._models is not None:
                    _use_models(self._models)
                load_pack()  # tells the stand-in of its folders
                if self._models is None:
                    folder_paths.add_model_folder_path("swin2sr", str(catalog.models_dir()), True)
            yield

    @cached_property
    def _classes(self) -> Classes:
        groups = (
            core_nodes,
            image_nodes,
            resizing_nodes,
            value_nodes,
            model_nodes,
            video_nodes,
        )
        ours = {node.GET_SCHEMA().node_id: node for group in groups for node in group.NODES}
        return ours | load_pack()

    def _own_checks(self, class_type: str) -> frozenset[str]:
        node = self._classes[class_type]
        if not overridden(node, "validate_inputs"):
            return frozenset()
        parameters = inspect.signature(node.validate_inputs).parameters.values()
        if any(each.kind is each.VAR_KEYWORD for each in parameters):
            return frozenset(each.id for each in node.GET_SCHEMA().inputs)
        return frozenset(each.name for each in parameters)

    def _check_own(self, graph: Graph) -> None:
        """What the nodes themselves say about their inputs."""
        problems = [
            Problem(sentence, "refused_by_node", node_id, node.class_type)
            for node_id, node in graph.items()
            if (sentence := self._refusal(node))
        ]
        if problems:
            raise WorkflowError(problems)

    def _refusal(self, node: Node) -> str:
        own = self._own_checks(node.class_type)
        values = {name: value for name, value in constants(node).items() if name in own}
        if not values:
            return ""
        answer = self._classes[node.class_type].validate_inputs(**values)
        if answer is True:
            return ""
        return answer if isinstance(answer, str) else f"it refuses its inputs: {values}"

    def _execute(
        self, graph: Graph, outputs: list[str], job: Job, watch: Watch, told: Progress | None
    ) -> Run:
        place = str(job.out.absolute())
        folders = {"output": job.out, "temp": job.out / "temp"}
        if self._executor is None:
            self._executor = Executor(self._classes)
        hidden = {io.Hidden.prompt: to_api(job.graph)}
        if job.page is not None:
            hidden[io.Hidden.extra_pnginfo] = {"workflow": job.page}
        label = [""]

        def started(node_id: str, node: Node) -> None:
            label[0] = f"{node_id} {node.class_type}"
            if told is not None:
                told(label[0], 0, 1)

        def hook(value: float, total: float, *_: object, **__: object) -> None:
            if told is not None:
                told(label[0], value, total)

        model_management.interrupt_current_processing(False)
        progress.set_progress_bar_global_hook(hook)
        try:
            with watch.interrupting(model_management.interrupt_current_processing):
                return self._executor.run(
                    graph,
                    outputs,
                    hidden,
                    place,
                    lambda shown: not missing_files(shown, folders),
                    started,
                )
        finally:
            progress.set_progress_bar_global_hook(None)
            model_management.interrupt_current_processing(False)


_FILES = ("image", "file", "model", "model_name")
"""Inputs whose choices are files: those of this machine."""


def _plain(value: object, name: str = "") -> object:
    if isinstance(value, Mapping):
        left_out = ("tooltip", "options") if name in _FILES else ("tooltip",)
        return {key: _plain(each, str(key)) for key, each in value.items() if key not in left_out}
    return [_plain(each, name) for each in value] if isinstance(value, (list, tuple)) else value


def _use_models(folder: Path) -> None:
    """Take the model folders of a ComfyUI, or one laid out like it."""
    folder_paths.models_dir = str(folder.absolute())
    for kind, (paths, _) in folder_paths.folder_names_and_paths.items():
        paths[:] = [str(folder.absolute() / kind)]


def _result(run: Run, watch: Watch, folders: Mapping[str, Path]) -> Result:
    outputs = []
    for node, item in files_of(run.shown):
        kind = str(item.get("type", "output"))
        path = folders[kind] / str(item.get("subfolder", "")) / str(item["filename"])
        outputs.append(OutputFile.of(path, node, kind))
    status = "done"
    if run.failure is not None:
        status = "failed"
    elif run.interrupted:
        status = watch.reason or "interrupted"
    return Result(
        status,
        tuple(run.nodes.values()),
        tuple(outputs),
        texts_of(run.shown),
        () if run.failure is None else (run.failure,),
    )
