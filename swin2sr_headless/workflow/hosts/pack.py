"""The node pack of this project, loaded without a ComfyUI: from the checkout, or as installed."""

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
_INSTALLED = "swin2sr_pack"
"""The pack in a wheel: a package that nothing imports, but that lies where it can be found."""


def pack_folder() -> Path:
    """The checkout that this package lies in, else what was installed with it.

    Raises HostError where neither has the nodes.
    """
    folder = Path(__file__).resolve().parents[3]
    spec = importlib.util.find_spec(_INSTALLED)
    for place in (folder, *((spec.submodule_search_locations if spec else None) or ())):
        if Path(place, "nodes", "extension.py").is_file() and Path(place, "__init__.py").is_file():
            return Path(place)
    raise HostError(
        "the nodes of Swin2SR are not installed: only its core is. Install the whole package (pip "
        "install swin2sr, or git clone, then pip install -e .), or run the workflow on a ComfyUI "
        "that has the nodes with --server URL"
    )


def load_pack() -> dict[str, type[io.ComfyNode]]:
    """The pack's node classes by name; ComfyUI's modules, or the stand-in's, must be in place.

    Raises HostError.
    """
    module = sys.modules.get(_NAME) or _imported(pack_folder())

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
