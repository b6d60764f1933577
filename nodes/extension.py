"""What ComfyUI asks the pack for: the list of its nodes."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import download_route, host, plan_route
from .compare import Swin2SRCompare
from .face_refine import Swin2SRFaceRefine
from .load import Swin2SRLoad
from .tiled_upscale import Swin2SRTiledUpscale


class Swin2SRExtension(ComfyExtension):
    """The nodes of this pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The node classes; the model folder and the page's routes are known from here on."""
        host.register_model_folder()
        plan_route.register()
        download_route.register()
        return [Swin2SRLoad, Swin2SRTiledUpscale, Swin2SRCompare, Swin2SRFaceRefine]
