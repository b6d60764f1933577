"""Swin2SR for ComfyUI: Load Swin2SR and Tiled Upscale x4."""

from __future__ import annotations

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]

try:
    from .nodes.extension import Swin2SRExtension
except ImportError as error:
    # Outside of ComfyUI, tools that look at folders of Python import this file because it is here;
    # pytest does so without a package where the folder's name is none for a package.
    if __package__ and error.name not in ("comfy_api", "comfy", "folder_paths"):
        raise


async def comfy_entrypoint() -> Swin2SRExtension:
    """ComfyUI's way in."""
    return Swin2SRExtension()  # pyright: ignore[reportPossiblyUnboundVariable]
