"""Stand-in for `comfy_api.latest`."""

from __future__ import annotations

from . import io_types as io

__all__ = ["ComfyExtension", "io"]


class ComfyExtension:
    """What a node pack's `comfy_entrypoint` returns."""

    async def on_load(self) -> None: ...

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        raise NotImplementedError
