"""AVIF pictures, where the installed Pillow was built with libavif."""

from __future__ import annotations

from io import BufferedWriter

import numpy as np
from PIL import Image

from ..frame import Pixels
from .exif import parse_exif
from .metadata import Metadata

QUALITY = 90
"""Above what eyes tell from the original; Pillow's own 75 blurs what was just made sharp."""


def write_avif(
    sink: BufferedWriter, pixels: Pixels, metadata: Metadata, quality: int | None
) -> None:
    """One picture, lossy, all of its colour samples kept."""
    grey = pixels.shape[2] <= 2
    colors = np.concatenate([pixels[..., :1]] * 3 + [pixels[..., 1:]], axis=2) if grey else pixels
    Image.fromarray(np.ascontiguousarray(colors)).save(
        sink,
        "AVIF",
        quality=QUALITY if quality is None else quality,
        subsampling="4:4:4",
        icc_profile=metadata.icc_profile or b"",
        exif=_exif(metadata),
        xmp=metadata.xmp or b"",
    )


def _exif(metadata: Metadata) -> bytes:
    """AVIF has no other place for the resolution."""
    return parse_exif(metadata.exif).with_dpi(metadata.dpi).block() or b""
