"""Videos, where PyAV is installed."""

from __future__ import annotations

from ..comfy_stub import io_types as io

NODES: tuple[type[io.ComfyNode], ...] = ()
