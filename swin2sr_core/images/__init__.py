"""Picture files to frames of tensors and back: formats, alpha, 16 bits, metadata, animations."""

from .alpha import bleed, upscale_frame
from .encoders import save_picture
from .frame import Frame, from_pixels, to_pixels
from .input_paths import PICTURE_SUFFIXES, expand_inputs
from .metadata import Metadata
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
