"""The node pack of this project, loaded from the checkout without a ComfyUI."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import cast

from ...comfy_stub import io_types as io
from ..problems import HostError

_NAME = "swin2sr_node_pack"


def pack_folder() -> Path:
    """The checkout that this package lies in. Raises HostError where it was installed alone."""
    folder = Path(__file__).resolve().parents[3]
    if (folder / "nodes" / "extension.py").is_file() and (folder / "__init__.py").is_file():
        return folder
    raise HostError(
        "the nodes of Swin2SR are not installed: only its core is. Workflows run from a checkout "
        "(git clone, then pip install -e .), or on a ComfyUI that has the nodes with --server URL"
    )


def load_pack() -> dict[str, type[io.ComfyNode]]:
    """The pack's node classes by name; ComfyUI's modules, or the stand-in's, must be in place.

    Raises HostError.
    """
    folder = pack_folder()
    module = sys.modules.get(_NAME) or _imported(folder)

    async def ask() -> list[type[io.ComfyNode]]:
        extension = await module.comfy_entrypoint()
        return await extension.get_node_list()

    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(ask())}


def _imported(folder: Path) -> ModuleType:
    spec = cast(
        ModuleSpec,
        importlib.util.spec_from_file_location(
            _NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
        ),
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module
    try:
        assert spec.loader is not None
        spec.loader.exec_module(module)
    except BaseException:
        for name in [n for n in sys.modules if n == _NAME or n.startswith(f"{_NAME}.")]:
            del sys.modules[name]
        raise
    return module
