"""Swin2SR for ComfyUI: Load Swin2SR and Tiled Upscale x4."""

from __future__ import annotations

WEB_DIRECTORY = "./web"

__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]

try:
    from .nodes.extension import Swin2SRExtension
except ImportError as error:
    # Outside of ComfyUI, tools that look at folders of Python import this file because it is here.
    if error.name not in ("comfy_api", "comfy", "folder_paths"):
        raise


async def comfy_entrypoint() -> Swin2SRExtension:
    """ComfyUI's way in."""
    return Swin2SRExtension()
