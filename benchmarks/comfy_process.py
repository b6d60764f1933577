"""A real ComfyUI in this process, without a server: what the comfy_* benchmarks stand on.

Run them with ComfyUI's own Python, and COMFYUI_DIR set to its checkout.
"""

from __future__ import annotations

import asyncio
import copy
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]

UPSCALE_DEFAULTS = {
    "scale": 4.0,
    "longest_side": 0,
    "sharpen": 0.0,
    "edge": "reflect",
    "strategy": "auto",
    "tile_size": 0,
    "overlap": 0,
    "max_memory": 0.0,
}

Workflow = dict[str, dict[str, Any]]


def start(base: Path) -> Callable[[Workflow], torch.Tensor | None]:
    """Load ComfyUI and this pack; the result runs a workflow and gives what its node Keep got."""
    checkout = os.environ.get("COMFYUI_DIR")
    if not checkout:
        raise SystemExit("set COMFYUI_DIR to a ComfyUI checkout")
    # A folder of ours would hide ComfyUI's own modules of the same names.
    sys.path[:] = [checkout, *(p for p in sys.path if Path(p).resolve() != ROOT)]
    sys.argv = [
        *("main.py", "--cpu", "--disable-all-custom-nodes", "--disable-api-nodes"),
        *("--base-directory", str(base), "--database-url", "sqlite:///:memory:"),
    ]
    import comfy.options  # noqa: TID251

    comfy.options.enable_args_parsing()
    import nodes

    asyncio.run(nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False))
    if not asyncio.run(nodes.load_custom_node(str(ROOT), module_parent="custom_nodes")):
        raise SystemExit("the pack was not loaded")
    nodes.NODE_CLASS_MAPPINGS["Keep"] = Keep
    return _runner()


class Keep:
    """An output node that keeps the picture it gets."""

    kept: torch.Tensor | None = None
    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "keep"
    CATEGORY = "test"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"image": ("IMAGE",)}}

    def keep(self, image: torch.Tensor) -> dict:
        Keep.kept = image
        return {}


def _runner() -> Callable[[Workflow], torch.Tensor | None]:
    import execution

    server = SimpleNamespace(
        client_id=None,
        last_node_id=None,
        last_prompt_id=None,
        sockets_metadata={},
        send_sync=lambda *_args, **_kwargs: None,
    )
    executor = execution.PromptExecutor(server)

    def run(workflow: Workflow) -> torch.Tensor | None:
        workflow, prompt_id, Keep.kept = copy.deepcopy(workflow), uuid.uuid4().hex, None
        valid, error, outputs, problems = asyncio.run(
            execution.validate_prompt(prompt_id, workflow, None)
        )
        if not valid or problems:
            raise SystemExit(f"refused: {problems or error}")
        executor.execute(workflow, prompt_id, {}, outputs)
        for kind, detail in executor.status_messages:
            if kind == "execution_error":
                raise SystemExit(detail["exception_message"])
        return Keep.kept

    run.executor = executor
    return run


class PeakOfProcess:
    """Growth of this process's resident memory inside the `with` block, at its peak (Linux)."""

    def __enter__(self) -> PeakOfProcess:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = _status("VmRSS")
        return self

    def __exit__(self, *_error: object) -> None:
        self.bytes = _status("VmHWM") - self._before


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)
