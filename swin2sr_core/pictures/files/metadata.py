"""What a picture carries besides its pixels, and what of it is still true after upscaling."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any, SupportsFloat, cast

from PIL import Image

from .notices import Notices
from .png_chunks import PngText

ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
EXIF_IFD, GPS_IFD = 0x8769, 0x8825

# What describes the photograph. Everything else in the first directory lays out the file it came
# from (sizes, strips, thumbnails) and would be wrong in another one.
_DESCRIPTIVE = (
    *(0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C),  # names, camera, author
    *(X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT),
    *(0x4746, 0x4749, 0x8298),  # rating, copyright
    *range(0x9C9B, 0x9CA0),  # title, comment, author, keywords, subject as Windows writes them
)
_STALE = (0xA002, 0xA003, 0xA005)  # old width and height; a pointer into the old file
_INCH_IN_CM = 2.54
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error)


@dataclass(frozen=True)
class Metadata:
    """What survives the way from a picture to its upscaled self.

    icc_profile: the colour profile, None if there is none or it is not for the frames' grey or RGB.
    dpi: horizontal and vertical, as in the source.
    exif: a TIFF block ("II*" or "MM*") of the descriptive tags, without orientation and thumbnail.
    bits: 8 or 16, the depth of the source's samples.
    durations: milliseconds per frame of an animation; empty for a still picture.
    loop: how many times an animation plays; 0 is forever.
    png_color: PNG's own colour chunks (name, content): gAMA, cHRM, sRGB, cICP, mDCV, cLLI.
    xmp: an XMP packet in UTF-8. iptc: IPTC records (IIM). comment: of a JPEG or GIF, as it stands.
    texts: of a PNG, in their order. paged: whether frames are pages, each a picture of its own.
    """

    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    bits: int = 8
    durations: tuple[float, ...] = ()
    loop: int = 0
    png_color: tuple[tuple[bytes, bytes], ...] = ()
    xmp: bytes | None = None
    iptc: bytes | None = None
    comment: bytes | None = None
    texts: tuple[PngText, ...] = ()
    paged: bool = False

    def stripped(self) -> Metadata:
        """Without all that tells of the picture's making: only how its pixels are to be shown."""
        return replace(self, exif=None, xmp=None, iptc=None, comment=None, texts=())

    def played(self, image: Image.Image, durations: tuple[float, ...]) -> Metadata:
        """The same of an animation with these milliseconds per frame."""
        return replace(self, durations=durations, loop=plays(image.info, image.format))


def profile_fits(profile: bytes | None, color_channels: int) -> bool:
    """Whether an ICC profile describes grey (1 channel) or RGB (3); its header names the space."""
    expected = b"GRAY" if color_channels == 1 else b"RGB "
    return profile is not None and len(profile) >= 128 and profile[16:20] == expected


def read_exif(
    image: Image.Image, block: bytes | None = None, notices: Notices | None = None
) -> Image.Exif:
    """The EXIF of an opened image; what of it is damaged is told and counts as not there.

    block: the content of a PNG's eXIf chunk, which Pillow finds only by decoding the picture.
    """
    notices = notices or Notices("the picture")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if block is not None:
                exif = Image.Exif()
                exif.load(block)
            else:
                exif = Image.Image.getexif(image)  # PNG's own getexif would decode the picture
            # the tags are parsed when they are first looked at
            for directory in (exif, exif.get_ifd(EXIF_IFD), exif.get_ifd(GPS_IFD)):
                list(directory)
        except _DAMAGE as error:
            notices.tell(f"has damaged EXIF data, which are left out ({error})")
            return Image.Exif()
    if any("EXIF" in str(each.message) for each in caught):
        notices.tell("has EXIF data of which a part is damaged and left out")
    return exif


def orientation(exif: Image.Exif) -> int:
    """How stored rows and columns have to be turned: 1 (not at all) to 8, as EXIF numbers it."""
    value = exif.get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def carried_exif(exif: Image.Exif, notices: Notices | None = None) -> bytes | None:
    """The EXIF block that goes on: descriptive tags only, None when there are none.

    A tag that cannot be read or written is told and left out, the others go on.
    """
    notices = notices or Notices("the picture")
    kept = Image.Exif()
    lost = _copied(exif, kept, _DESCRIPTIVE)
    for number, stale in ((EXIF_IFD, _STALE), (GPS_IFD, ())):
        try:
            directory = exif.get_ifd(number)
        except _DAMAGE:
            lost.append(number)
            continue
        part: dict[int, object] = {}
        lost += _copied(directory, part, [tag for tag in directory if tag not in stale], number)
        if part:
            kept[number] = part
    if lost:
        names = ", ".join(f"0x{tag:04X}" for tag in lost)
        notices.tell(f"has damaged EXIF tags ({names}), which are left out")
    return exif_block(kept) if len(kept) else None


def _copied(
    source: MutableMapping[int, Any],
    target: MutableMapping[int, Any],
    tags: Iterable[int],
    directory: int | None = None,
) -> list[int]:
    """Copy what can be written again; the tags of the rest."""
    lost = []
    for tag in tags:
        try:
            if tag not in source:
                continue
            alone = Image.Exif()
            if directory is None:
                alone[tag] = source[tag]
            else:
                alone[directory] = {tag: source[tag]}
            exif_block(alone)
            target[tag] = source[tag]
        except _DAMAGE:
            lost.append(tag)
    return lost


def exif_block(exif: Image.Exif) -> bytes:
    """EXIF as a TIFF block, without the "Exif" mark that JPEG puts before it."""
    return exif.tobytes().removeprefix(b"Exif\0\0")


def parse_exif(block: bytes | None) -> Image.Exif:
    """The inverse of `exif_block`; empty for None."""
    exif = Image.Exif()
    if block:
        exif.load(block)
    return exif


def read_dpi(image: Image.Image, exif: Image.Exif) -> tuple[float, float] | None:
    """Dots per inch as the format or else EXIF tells; None where unknown or nonsense."""
    if image.format != "TIFF" and (pair := _positive_pair(image.info.get("dpi"))):
        return pair
    unit = exif.get(RESOLUTION_UNIT, 2)
    if unit not in (2, 3) or X_RESOLUTION not in exif:  # Pillow invents 1 dpi for a TIFF without
        return None
    scale = _INCH_IN_CM if unit == 3 else 1.0
    pair = _positive_pair((exif[X_RESOLUTION], exif.get(Y_RESOLUTION, exif[X_RESOLUTION])))
    return (pair[0] * scale, pair[1] * scale) if pair else None


def with_dpi(exif: Image.Exif, dpi: tuple[float, float] | None) -> Image.Exif:
    """The same EXIF object, telling this resolution."""
    if dpi is not None:
        exif[X_RESOLUTION], exif[Y_RESOLUTION] = dpi
        exif[RESOLUTION_UNIT] = 2
    return exif


def plays(info: Mapping[str | tuple[int, int], object], image_format: str | None) -> int:
    """How many times an opened animation plays, 0 for ever: formats count differently."""
    count = info.get("loop")
    if image_format != "GIF":
        return count if isinstance(count, int) else 0
    # GIF tells how often to repeat after the first time, and nothing if it plays once
    return 1 if not isinstance(count, int) else count and count + 1


def _positive_pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    try:
        x, y = (float(cast(SupportsFloat, part)) for part in value)
    except _DAMAGE:
        return None
    good = all(math.isfinite(part) and 0 < part < 1e6 for part in (x, y))
    return (x, y) if good else None
