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
from .exif import Exif, positive_pair, read_exif
from .gif_blocks import GifBlocks
from .jpeg_segments import JpegSegments
from .metadata import Metadata, profile_fits
from .notices import Notices
from .png_chunks import COLOR_CHUNKS, XMP_KEYWORD, PngHeader, PngText
from .source import Source

_TIFF_XMP, _TIFF_IPTC, _TIFF_PHOTOSHOP = 700, 33723, 34377
_PHOTOSHOP_EXIF = 1058
_MOST_NAMED = 8
_OF_COLOR = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr")


@dataclass(frozen=True)
class Looks:
    """What our own look at a file found; None for other formats."""

    png: PngHeader | None = None
    gif: GifBlocks | None = None
    jpeg: JpegSegments | None = None


def gathered(image: Image.Image, looks: Looks, exif: Exif, notices: Notices) -> Metadata:
    """The metadata of an opened image that are still true of it after upscaling."""
    packet = packet_of(image, looks)
    if looks.jpeg and looks.jpeg.extended_xmp:
        notices.tell("has more XMP than one segment holds; the rest is left out")
    return Metadata(
        icc_profile=_profile(image, looks, notices),
        dpi=_dpi(image, exif),
        exif=exif.described().block(),
        png_color=_color_chunks(looks.png),
        xmp=_within(xmp.upright(packet, notices), "XMP", notices),
        iptc=_within(_records(image, looks), "IPTC", notices),
        comment=_comment(image, looks),
        texts=_texts(looks.png),
    )


def exif_of(image: Image.Image, looks: Looks, source: Source, notices: Notices) -> Exif:
    """The EXIF of an opened image, wherever its format keeps it; what is damaged in it is told."""
    try:
        if image.format == "TIFF":
            with source.open() as file:
                exif, damaged = read_exif(file)
        else:
            exif, damaged = read_exif(_exif_block(image, looks))
    except (ValueError, struct.error) as error:
        notices.tell(f"has damaged EXIF data, which are left out ({error})")
        return Exif()
    if damaged:
        names = ", ".join(f"0x{tag:04X}" for tag in sorted(set(damaged))[:_MOST_NAMED])
        more = ", ..." if len(set(damaged)) > _MOST_NAMED else ""
        notices.tell(f"has damaged EXIF tags ({names}{more}), which are left out")
    return exif


def _exif_block(image: Image.Image, looks: Looks) -> bytes | None:
    if looks.png:
        # from its chunk or, as older programs wrote it, from a text
        texts = looks.png.texts
        old = raw_profile.find(texts, "exif") or raw_profile.find(texts, "APP1")
        return looks.png.exif or (old if old and old.startswith(b"Exif\0\0") else None)
    block = image.info.get("exif")
    return block if isinstance(block, bytes) else _resource(image, _PHOTOSHOP_EXIF)


def orientation_of(exif: Exif, packet: bytes | None) -> int:
    """How stored rows and columns have to be turned: 1 (not at all) to 8, as EXIF numbers it."""
    return exif.orientation or xmp.orientation(packet) or 1


def _dpi(image: Image.Image, exif: Exif) -> tuple[float, float] | None:
    """Dots per inch as the format or else EXIF tells; None where unknown or nonsense."""
    told = image.info.get("dpi")
    if image.format != "TIFF" and isinstance(told, tuple):
        try:
            pair = positive_pair(tuple(map(float, told)))
        except (TypeError, ValueError, ZeroDivisionError, OverflowError):
            pair = None
        if pair:
            return pair
    return exif.dpi  # Pillow invents 1 dpi for a TIFF without


def _profile(image: Image.Image, looks: Looks, notices: Notices) -> bytes | None:
    profile = image.info.get("icc_profile")
    if not profile or image.mode in ("CMYK", "LAB"):  # those are converted by their profile
        return None
    grey = looks.png.grey if looks.png else is_grey(image)
    if len(profile) > PROFILE_BYTES:
        notices.tell(f"has a colour profile of {len(profile):,} bytes; it is left out")
    elif (grey or image.mode in _OF_COLOR) and profile_fits(profile, 1 if grey else 3):
        return profile
    else:
        notices.tell("has a colour profile that is not for its kind of pixels; it is left out")
    return None


def _color_chunks(header: PngHeader | None) -> tuple[tuple[bytes, bytes], ...]:
    chunks = header.chunks if header else {}
    return tuple((name, chunks[name]) for name in COLOR_CHUNKS if name in chunks)


def packet_of(image: Image.Image, looks: Looks) -> bytes | None:
    """The XMP packet of an opened image as it stands."""
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
    return _resource(image, iptc.RESOURCE)


def _resource(image: Image.Image, wanted: int) -> bytes | None:
    """What stands under this number in a Photoshop document."""
    resources = getattr(image, "resources", None)
    if image.format == "PSD" and isinstance(resources, Iterable):
        for number, _, content in resources:
            if number == wanted:
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
