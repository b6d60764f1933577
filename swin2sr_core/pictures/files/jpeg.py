"""JPEG pictures: encoded by Pillow, with XMP and IPTC in segments of their own."""

from __future__ import annotations

from io import BufferedWriter

import numpy as np
from PIL import Image

from ..frame import Pixels
from . import iptc
from .jpeg_segments import PHOTOSHOP_MARK, XMP_MARK
from .metadata import Metadata

QUALITY = 95
_APP1, _APP13 = b"\xff\xe1", b"\xff\xed"


def write_jpeg(
    sink: BufferedWriter, pixels: Pixels, metadata: Metadata, quality: int | None
) -> None:
    """One picture without alpha, all of its colour samples kept."""
    extra = b""
    if metadata.xmp:
        extra += _segment(_APP1, XMP_MARK + metadata.xmp)
    if metadata.iptc:
        extra += _segment(_APP13, PHOTOSHOP_MARK + iptc.to_photoshop(metadata.iptc))
    as_image(pixels).save(
        sink,
        "JPEG",
        quality=QUALITY if quality is None else quality,
        subsampling=0,
        dpi=metadata.dpi or (0, 0),
        icc_profile=metadata.icc_profile or b"",
        exif=b"Exif\0\0" + metadata.exif if metadata.exif else b"",
        comment=metadata.comment or b"",
        extra=extra,
    )


def as_image(pixels: Pixels) -> Image.Image:
    """Pixels without alpha as Pillow's L or RGB."""
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


def _segment(marker: bytes, content: bytes) -> bytes:
    return marker + (len(content) + 2).to_bytes(2, "big") + content
