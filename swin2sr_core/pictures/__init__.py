"""Picture files to frames of tensors and back: formats, alpha, 16 bits, metadata, animations.

Like the package above, this one imports what needs torch when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .alpha import bleed, upscale_frame
    from .files.encoders import save_picture
    from .files.metadata import Metadata
    from .frame import Frame, from_pixels, to_pixels
    from .input_paths import PICTURE_SUFFIXES, expand_inputs
    from .picture import MAX_PIXELS, Picture, open_picture

__all__ = [
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "Frame",
    "Metadata",
    "Picture",
    "bleed",
    "expand_inputs",
    "from_pixels",
    "open_picture",
    "save_picture",
    "to_pixels",
    "upscale_frame",
]

_HOMES = {
    "MAX_PIXELS": "picture",
    "PICTURE_SUFFIXES": "input_paths",
    "Frame": "frame",
    "Metadata": "files.metadata",
    "Picture": "picture",
    "bleed": "alpha",
    "expand_inputs": "input_paths",
    "from_pixels": "frame",
    "open_picture": "picture",
    "save_picture": "files.encoders",
    "to_pixels": "frame",
    "upscale_frame": "alpha",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
