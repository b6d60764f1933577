"""What ComfyUI asks the pack for: the list of its nodes."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from comfy_api.latest import ComfyExtension, io

from . import download_route, host, plan_route
from .compare import Swin2SRCompare
from .face_refine import Swin2SRFaceRefine
from .load import Swin2SRLoad
from .tiled_upscale import Swin2SRTiledUpscale

logger = logging.getLogger(__name__)


class Swin2SRExtension(ComfyExtension):
    """The nodes of this pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The node classes; the model folder and the page's routes are known from here on."""
        _warn_of_another_copy()
        host.register_model_folder()
        plan_route.register()
        download_route.register()
        return [Swin2SRLoad, Swin2SRTiledUpscale, Swin2SRCompare, Swin2SRFaceRefine]


def _warn_of_another_copy() -> None:
    """ComfyUI takes the nodes of the pack that it loads last, and says nothing."""
    mappings = getattr(sys.modules.get("nodes"), "NODE_CLASS_MAPPINGS", {})
    other = sys.modules.get(getattr(mappings.get("Swin2SR_Load"), "__module__", ""))
    here = Path(__file__).parents[1]
    there = Path(getattr(other, "__file__", None) or __file__).parents[1]
    if there != here:
        logger.warning("Swin2SR is installed twice, in %s and %s: remove one", there, here)
