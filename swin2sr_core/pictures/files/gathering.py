"""Everything that a picture carries besides its pixels, gathered from where its format keeps it."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from ..limits import PROFILE_BYTES, TEXT_BYTES
from ..pixels import is_grey
from . import iptc, raw_profile, xmp
from .gif_blocks import GifBlocks
from .jpeg_segments import JpegSegments
from .metadata import Metadata, carried_exif, profile_fits, read_dpi
from .notices import Notices
from .png_chunks import COLOR_CHUNKS, XMP_KEYWORD, PngHeader, PngText

_TIFF_XMP, _TIFF_IPTC, _TIFF_PHOTOSHOP = 700, 33723, 34377
_OF_COLOR = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr")


@dataclass(frozen=True)
class Looks:
    """What our own look at a file found; None for other formats."""

    png: PngHeader | None = None
    gif: GifBlocks | None = None
    jpeg: JpegSegments | None = None


def gathered(image: Image.Image, looks: Looks, exif: Image.Exif, notices: Notices) -> Metadata:
    """The metadata of an opened image that are still true of it after upscaling."""
    packet = _packet(image, looks)
    if looks.jpeg and looks.jpeg.extended_xmp:
        notices.tell("has more XMP than one segment holds; the rest is left out")
    return Metadata(
        icc_profile=_profile(image, notices),
        dpi=read_dpi(image, exif),
        exif=carried_exif(exif, notices),
        png_color=_color_chunks(looks.png),
        xmp=_within(xmp.upright(packet, notices), "XMP", notices),
        iptc=_within(_records(image, looks), "IPTC", notices),
        comment=_comment(image, looks),
        texts=_texts(looks.png),
    )


def png_exif(header: PngHeader) -> bytes | None:
    """The EXIF block of a PNG, from its chunk or, as older programs wrote it, from a text."""
    old = raw_profile.find(header.texts, "exif") or raw_profile.find(header.texts, "APP1")
    marked = old if old and old.startswith(b"Exif\0\0") else None
    return header.exif or marked


def _profile(image: Image.Image, notices: Notices) -> bytes | None:
    profile = image.info.get("icc_profile")
    if not profile or image.mode in ("CMYK", "LAB"):  # those are converted by their profile
        return None
    channels = 1 if is_grey(image) else 3
    if len(profile) > PROFILE_BYTES:
        notices.tell(f"has a colour profile of {len(profile):,} bytes; it is left out")
    elif (is_grey(image) or image.mode in _OF_COLOR) and profile_fits(profile, channels):
        return profile
    else:
        notices.tell("has a colour profile that is not for its kind of pixels; it is left out")
    return None


def _color_chunks(header: PngHeader | None) -> tuple[tuple[bytes, bytes], ...]:
    chunks = header.chunks if header else {}
    return tuple((name, chunks[name]) for name in COLOR_CHUNKS if name in chunks)


def _packet(image: Image.Image, looks: Looks) -> bytes | None:
    if looks.png:
        texts = [each.text for each in looks.png.texts if each.keyword == XMP_KEYWORD]
        return texts[0].encode() if texts else None
    if looks.gif or looks.jpeg:
        return looks.gif.xmp if looks.gif else looks.jpeg.xmp if looks.jpeg else None
    value = image.info.get("xmp")
    if value is None and isinstance(image, TiffImageFile):
        value = image.tag_v2.get(_TIFF_XMP)
    return value.encode() if isinstance(value, str) else value or None


def _records(image: Image.Image, looks: Looks) -> bytes | None:
    if looks.jpeg:
        return looks.jpeg.iptc
    if looks.png:
        found = raw_profile.find(looks.png.texts, "iptc")
        return iptc.from_photoshop(found) or found if found else None
    if isinstance(image, TiffImageFile):
        records = _as_bytes(image.tag_v2.get(_TIFF_IPTC), image.tag_v2.prefix == b"II")
        block = _as_bytes(image.tag_v2.get(_TIFF_PHOTOSHOP), True)
        return records or iptc.from_photoshop(block or b"")
    resources = getattr(image, "resources", None)  # of a PSD
    if isinstance(resources, Iterable):
        for number, _, content in resources:
            if number == iptc.RESOURCE:
                return content
    return None


def _as_bytes(value: object, little: bool) -> bytes | None:
    """What a tag holds: some writers take IPTC for numbers of 32 bits."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, tuple) and value and all(isinstance(each, int) for each in value):
        try:
            return struct.pack(f"{'<' if little else '>'}{len(value)}I", *value)
        except struct.error:
            return None
    return None


def _comment(image: Image.Image, looks: Looks) -> bytes | None:
    if looks.jpeg:
        return looks.jpeg.comment
    if looks.gif:
        return looks.gif.comment
    value = image.info.get("comment")
    if isinstance(value, str):
        value = value.encode()
    return value[:TEXT_BYTES] if isinstance(value, bytes) and value else None


def _texts(header: PngHeader | None) -> tuple[PngText, ...]:
    texts = header.texts if header else []
    return tuple(
        each for each in texts if each.keyword != XMP_KEYWORD and not raw_profile.is_one(each)
    )


def _within(data: bytes | None, what: str, notices: Notices) -> bytes | None:
    if data is None or len(data) <= TEXT_BYTES:
        return data
    notices.tell(f"has {len(data):,} bytes of {what}; they are left out")
    return None
