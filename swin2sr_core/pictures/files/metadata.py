"""What a picture carries besides its pixels, and what of it is still true after upscaling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from PIL import Image

from .png_chunks import PngText


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


def plays(info: Mapping[str | tuple[int, int], object], image_format: str | None) -> int:
    """How many times an opened animation plays, 0 for ever: formats count differently."""
    count = info.get("loop")
    if image_format != "GIF":
        return count if isinstance(count, int) else 0
    # GIF tells how often to repeat after the first time, and nothing if it plays once
    return 1 if not isinstance(count, int) else count and count + 1
