"""The host in process with a ComfyUI checkout: its executor, its nodes, no server, no port."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import importlib
import logging
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from swin2sr_core.temporary import temporary_folder

from ..document.definitions import Definitions, parse_definitions
from ..document.graph import to_api
from ..document.known_classes import who_has
from ..document.paths import check_names
from ..problems import HostError, WorkflowError
from ..report import OutputFile
from ..staging import stage
from ..watch import Watch
from .host import Job, Progress, Result, files_of, texts_of
from .messages import Timeline, refusal
from .pack import pack_folder

logger = logging.getLogger(__name__)

_FOLDERS = ("input", "output", "temp", "user")
_ARGUMENTS = (
    "--disable-all-custom-nodes",
    "--disable-api-nodes",
    *("--database-url", "sqlite:///:memory:"),
)


class CheckoutHost:
    """ComfyUI's own executor, with this project's nodes besides its own.

    ComfyUI reads its settings once, at import: a process can have one checkout, for good.
    """

    name = "comfyui"
    _started: CheckoutHost | None = None

    def __init__(self, checkout: Path) -> None:
        """Import ComfyUI. Raises HostError where that does not work in this Python."""
        self._checkout = checkout.expanduser().resolve()
        if CheckoutHost._started is not None:
            raise HostError("a process can have one ComfyUI; run the next workflow in another")
        if not (self._checkout / "execution.py").is_file():
            raise HostError(
                f"{checkout} is no ComfyUI checkout: it has no execution.py; name the folder that "
                "has its main.py"
            )
        self._pack = pack_folder()
        self._temporary = temporary_folder()
        self._base = Path(self._temporary.name)
        self._staged = self._base / "input"
        for kind in _FOLDERS:
            (self._base / kind).mkdir()
        self._written: dict[str, list[Path]] = {}
        self._start()
        CheckoutHost._started = self

    @property
    def input_folder(self) -> Path:
        """The checkout's own."""
        return self._checkout / "input"

    def definitions(self, watch: Watch | None = None) -> Definitions:
        with contextlib.redirect_stdout(sys.stderr):
            return parse_definitions(self._object_info())

    def explain_unknown(self, class_type: str) -> str:
        return who_has(class_type, in_process=True)

    def run(self, job: Job, watch: Watch, progress: Progress | None = None) -> Result:
        """See Host."""
        folders = {"input": self._staged, "output": job.out, "temp": job.out / "temp"}
        problems = check_names(job.graph, self.definitions(), folders)
        if problems:
            raise WorkflowError(problems)
        self._go_to(job.out)
        stage(job.inputs, self._staged)
        prompt, prompt_id = to_api(job.graph), uuid.uuid4().hex
        with contextlib.redirect_stdout(sys.stderr):
            outputs = self._validated(prompt, prompt_id)
            timeline = Timeline(job.graph, progress)
            self._server.send_sync = timeline.message
            extra: dict[str, object] = {"client_id": "swin2sr"}
            if job.page is not None:
                extra["extra_pnginfo"] = {"workflow": dict(job.page)}
            with watch.interrupting(self._interrupt):
                self._executor.execute(prompt, prompt_id, extra, outputs)
        shown: Mapping[str, Mapping[str, object]] = self._executor.history_result["outputs"]
        shown = {node: entries for node, entries in shown.items() if node in job.graph}
        files = tuple(_files(shown, folders))
        self._remember(outputs, files)
        return Result(
            timeline.status(watch.reason),
            timeline.nodes(),
            files,
            texts_of(shown),
            timeline.errors,
        )

    def close(self) -> None:
        self._temporary.cleanup()

    # -- inside ----------------------------------------------------------------------------------

    def _start(self) -> None:
        sys.path.insert(0, str(self._checkout))
        with _arguments(["main.py", *_ARGUMENTS, *_device_arguments()]):
            try:
                with contextlib.redirect_stdout(sys.stderr):
                    self._import()
            except HostError:
                raise
            except ImportError as error:
                raise HostError(
                    f"the ComfyUI in {self._checkout} cannot be imported by this Python: {error}; "
                    "run swin2sr with the Python that runs ComfyUI"
                ) from error
            except (Exception, SystemExit) as error:
                raise HostError(
                    f"the ComfyUI in {self._checkout} does not start: {error!r}"
                ) from error

    def _import(self) -> None:
        import_module = importlib.import_module
        import_module("comfy.options").enable_args_parsing()
        # first, as its main.py does: later, other things are called `utils`, too
        extra_config = import_module("utils.extra_config")
        extra = self._checkout / "extra_model_paths.yaml"
        if extra.is_file():
            extra_config.load_extra_path_config(str(extra))
        self._folders: Any = import_module("folder_paths")
        for kind in _FOLDERS:
            getattr(self._folders, f"set_{kind}_directory")(str(self._base / kind))
        self._nodes: Any = import_module("nodes")
        self._execution: Any = import_module("execution")
        asyncio.run(self._load_nodes())
        self._server = SimpleNamespace(
            client_id=None,
            last_node_id=None,
            last_prompt_id=None,
            sockets={},
            sockets_metadata={},
            send_sync=lambda *_arguments, **_options: None,
        )

    async def _load_nodes(self) -> None:
        initialize = self._nodes.init_extra_nodes
        known = initialize.__code__.co_varnames
        wanted = {"init_custom_nodes": False, "init_api_nodes": False}
        await initialize(**{name: value for name, value in wanted.items() if name in known})
        loaded = await self._nodes.load_custom_node(str(self._pack), module_parent="custom_nodes")
        if not loaded:
            raise HostError(
                f"the nodes in {self._pack} do not load into the ComfyUI in {self._checkout}; its "
                "log above says why (it must be 0.3.64 or newer)"
            )

    @cached_property
    def _executor(self) -> Any:
        return self._execution.PromptExecutor(self._server)

    def _go_to(self, out: Path) -> None:
        """Let outputs go there; what was written elsewhere, or is gone, has to be written again."""
        place = str(out.absolute())
        moved = self._folders.get_output_directory() != place
        if moved:
            self._folders.set_output_directory(place)
            self._folders.set_temp_directory(str(Path(place, "temp")))
        caches = self._executor.caches
        for node_id, files in self._written.items():
            if moved or not all(path.is_file() for path in files):
                for cache in (caches.outputs, caches.ui, caches.objects):  # which know the folder
                    cache.set(node_id, None)
        self._written = {}

    def _remember(self, outputs: list[str], files: Iterable[OutputFile]) -> None:
        self._written = {node_id: [] for node_id in outputs}
        for file in files:
            self._written.setdefault(file.node, []).append(file.path)

    def _validated(self, prompt: dict[str, Any], prompt_id: str) -> list[str]:
        validate = self._execution.validate_prompt
        arguments = (prompt_id, prompt, None)[: validate.__code__.co_argcount]
        valid, error, outputs, node_errors = asyncio.run(validate(*arguments))
        if not valid or node_errors:
            raise WorkflowError(refusal(error, node_errors))
        return list(outputs)

    def _interrupt(self) -> None:
        self._nodes.interrupt_processing(True)

    def _object_info(self) -> dict[str, dict[str, object]]:
        return {name: _info(name, node) for name, node in self._nodes.NODE_CLASS_MAPPINGS.items()}


def _info(name: str, node: Any) -> dict[str, object]:
    try:
        if hasattr(node, "GET_NODE_INFO_V1"):
            return node.GET_NODE_INFO_V1()
        inputs = copy.copy(node.INPUT_TYPES())
    except Exception as error:
        logger.debug("%s does not tell its inputs: %s", name, error)
        inputs = {}
    return {
        "input": inputs,
        "input_order": {group: list(names) for group, names in inputs.items()},
        "output": node.RETURN_TYPES,
        "output_node": bool(getattr(node, "OUTPUT_NODE", False)),
        "display_name": sys.modules["nodes"].NODE_DISPLAY_NAME_MAPPINGS.get(name, name),
    }


@contextlib.contextmanager
def _arguments(argv: list[str]) -> Iterator[None]:
    before = sys.argv
    sys.argv = argv
    try:
        yield
    finally:
        sys.argv = before


def _device_arguments() -> list[str]:
    import torch

    there = (torch.cuda, torch.backends.mps, getattr(torch, "xpu", None))
    return [] if any(kind is not None and kind.is_available() for kind in there) else ["--cpu"]


def _files(
    shown: Mapping[str, Mapping[str, object]], folders: Mapping[str, Path]
) -> Iterator[OutputFile]:
    for node, item in files_of(shown):
        kind = str(item.get("type", "output"))
        path = folders[kind] / str(item.get("subfolder", "")) / str(item["filename"])
        yield OutputFile.of(path, node, kind)
