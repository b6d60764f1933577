"""The pages of a TIFF file, counted and checked before anything is decoded.

Layout as in the TIFF 6.0 specification; BigTIFF as libtiff describes it.
"""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from ..limits import TIFF_TILE_SIDE
from .source import Source

_SUBFILE, _TILE_WIDTH, _TILE_HEIGHT = 254, 322, 323
_REDUCED, _MASK = 1, 4


def count_pages(source: Source, most: int) -> int:
    """How many directories hang together, or `most + 1` where there are more."""
    seen: set[int] = set()
    with source.open() as file:
        head = file.read(16)
        order = "little" if head[:2] == b"II" else "big"
        big = int.from_bytes(head[2:4], order) == 43
        width = 8 if big else 4
        at = int.from_bytes(head[8:16] if big else head[4:8], order)
        while at and at not in seen and len(seen) <= most:
            seen.add(at)
            at = _next_directory(file, at, order, width)
    return len(seen)


def _next_directory(file: BinaryIO, at: int, order: str, width: int) -> int:
    file.seek(at)
    big = width == 8
    endian = "little" if order == "little" else "big"
    count = int.from_bytes(file.read(8 if big else 2), endian)
    file.seek(at + (8 + 20 * count if big else 2 + 12 * count))
    return int.from_bytes(file.read(width), endian)


def is_page(image: Image.Image) -> bool:
    """Whether the directory that Pillow is at is a page, not a smaller copy or a mask of one."""
    if not isinstance(image, TiffImageFile):
        return True
    kind = image.tag_v2.get(_SUBFILE, 0)
    return not (isinstance(kind, int) and kind & (_REDUCED | _MASK))


def tile_problem(image: Image.Image) -> str | None:
    """What is wrong with the tiles of the page that Pillow is at: they are decoded whole."""
    if not isinstance(image, TiffImageFile):
        return None
    for tag, side in ((_TILE_WIDTH, image.width), (_TILE_HEIGHT, image.height)):
        length = image.tag_v2.get(tag, 0)
        if not isinstance(length, int):
            return "tiles without a size"
        # rounded up to 16, as the standard wants it
        if length > max(side + 15, TIFF_TILE_SIDE):
            return f"tiles of {length} pixels a side in a picture of {side}"
    return None
