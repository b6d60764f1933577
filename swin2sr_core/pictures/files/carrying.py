"""What of a picture's metadata goes into a file of another format, and where.

docs/pictures.md has the table. What has no place of its own moves to one that programs look at;
what has none at all is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from . import iptc, raw_profile, xmp
from .exif import MAKE, MODEL, USER_COMMENT, Entry, Exif, bytes_entry, parse_exif, text_entry
from .jpeg_segments import MAX_SEGMENT, PHOTOSHOP_MARK, XMP_MARK
from .metadata import Metadata
from .notices import Notices
from .png_chunks import PngText

_EXIF_TAGS = {
    "Title": 0x010D,
    "Description": 0x010E,
    "Software": 0x0131,
    "Author": 0x013B,
    "Copyright": 0x8298,
}
"""Where the keywords that PNG registers go in EXIF."""
_COMFY_TAGS = {"workflow": MAKE, "prompt": MODEL}
"""Where ComfyUI writes and looks for them in a WebP, with their names before them."""
_UNICODE, _ASCII = b"UNICODE\0", b"ASCII\0\0\0"
_COMMENT, _PARAMETERS = "Comment", "parameters"


class _Places(NamedTuple):
    """What a format has a place for."""

    exif: bool = False
    xmp: bool = False
    iptc: bool = False
    comment: bool = False
    texts: bool = False
    dpi: bool = True


_PLACES = {
    "PNG": _Places(exif=True, xmp=True, texts=True),
    "JPEG": _Places(exif=True, xmp=True, iptc=True, comment=True),
    "WEBP": _Places(exif=True, xmp=True),
    "TIFF": _Places(exif=True, xmp=True, iptc=True),
    "AVIF": _Places(exif=True, xmp=True),
    "GIF": _Places(xmp=True, comment=True, dpi=False),
    "BMP": _Places(),
}


def carried(metadata: Metadata, kind: str, size: tuple[int, int], notices: Notices) -> Metadata:
    """The metadata as a file of this format holds them, true of a picture of this size.

    Moves texts, comments and IPTC to where the format has a place; the fields that it has none
    for are empty afterwards, and `notices` names them.
    """
    places = _PLACES[kind]
    result = replace(metadata, xmp=xmp.sized(metadata.xmp, *size))
    result = _in_texts(result) if places.texts else _out_of_texts(result, places)
    left = {
        "EXIF": not places.exif and result.exif,
        "XMP": not places.xmp and result.xmp,
        "IPTC": not places.iptc and result.iptc,
        "a comment": not places.comment and result.comment,
        "the resolution": not places.dpi and result.dpi,
        **{f"the text {each.keyword!r}": not places.texts for each in result.texts},
    }
    names = [name for name, lost in left.items() if lost]
    if names:
        notices.tell(f"leaves out {', '.join(names)}: {kind} has no place for it")
    result = replace(
        result,
        exif=result.exif if places.exif else None,
        xmp=result.xmp if places.xmp else None,
        iptc=result.iptc if places.iptc else None,
        comment=result.comment if places.comment else None,
        texts=result.texts if places.texts else (),
        dpi=result.dpi if places.dpi else None,
    )
    return _within_segments(result, metadata, notices) if kind == "JPEG" else result


def _in_texts(metadata: Metadata) -> Metadata:
    """For a PNG: everything that it can only hold as text."""
    texts = list(metadata.texts)
    known = {each.keyword for each in texts}

    def add(keyword: str, text: str | None) -> None:
        if text and keyword not in known:
            texts.append(PngText(keyword, text))
            known.add(keyword)

    for keyword, text in _workflow_texts(parse_exif(metadata.exif)):
        add(keyword, text)
    if metadata.comment:
        add(_COMMENT, _decoded(metadata.comment))
    if metadata.iptc:
        texts.append(raw_profile.made("iptc", iptc.to_photoshop(metadata.iptc)))
    return replace(metadata, texts=tuple(texts), comment=None, iptc=None)


def _workflow_texts(exif: Exif) -> Iterable[tuple[str, str | None]]:
    """What ComfyUI and A1111 put into EXIF where there are no texts, under the names of those."""
    for keyword, tag in _COMFY_TAGS.items():
        text = _decoded(exif.main[tag].data) if tag in exif.main else ""
        if text.startswith(f"{keyword}:"):
            yield keyword, text.removeprefix(f"{keyword}:")
    text = _user_comment(exif.photo[USER_COMMENT].data) if USER_COMMENT in exif.photo else None
    if text and "Steps: " in text:
        yield _PARAMETERS, text


def _out_of_texts(metadata: Metadata, places: _Places) -> Metadata:
    """For all but PNG: texts and comments to where there is a place for them."""
    exif = parse_exif(metadata.exif)
    comment, left = metadata.comment, []
    for each in metadata.texts:
        tag = _EXIF_TAGS.get(each.keyword, _COMFY_TAGS.get(each.keyword))
        if places.exif and tag is not None and tag not in exif.main:
            mark = f"{each.keyword}:" if each.keyword in _COMFY_TAGS else ""
            exif.main[tag] = text_entry(mark + each.text)
        elif places.exif and each.keyword == _PARAMETERS and USER_COMMENT not in exif.photo:
            exif.photo[USER_COMMENT] = _in_unicode(each.text)
        elif each.keyword == _COMMENT and comment is None:
            comment = each.text.encode("utf-8", "replace")
        else:
            left.append(each)
    if comment and places.exif and not places.comment and USER_COMMENT not in exif.photo:
        text = _decoded(comment)
        plain = text.isascii()
        exif.photo[USER_COMMENT] = bytes_entry(_ASCII + comment) if plain else _in_unicode(text)
        comment = None
    return replace(metadata, exif=exif.block(), comment=comment, texts=tuple(left))


def _in_unicode(text: str) -> Entry:
    return bytes_entry(_UNICODE + text.encode("utf-16-be", "replace"))


def _within_segments(result: Metadata, metadata: Metadata, notices: Notices) -> Metadata:
    """For a JPEG: without what does not fit into a segment."""

    def fits(data: bytes | None, head: int, what: str, way_out: str = "") -> bytes | None:
        if data is None or len(data) + head <= MAX_SEGMENT:
            return data
        notices.tell(f"leaves out {what} ({len(data):,} bytes), too long for a JPEG{way_out}")
        return None

    exif = result.exif
    if exif and len(exif) + 6 > MAX_SEGMENT and exif != metadata.exif:
        # texts that moved there are what makes it long
        notices.tell(
            f"leaves out texts of {len(exif):,} bytes (a workflow?), too long for a JPEG; a PNG "
            "or WebP holds them"
        )
        exif = metadata.exif
    return replace(
        result,
        exif=fits(exif, 6, "the EXIF data"),
        xmp=fits(result.xmp, len(XMP_MARK), "the XMP data"),
        iptc=fits(result.iptc, len(PHOTOSHOP_MARK) + 12, "the IPTC data"),
        comment=fits(result.comment, 0, "the comment"),
    )


def _decoded(data: bytes) -> str:
    try:
        return data.decode().rstrip("\0")
    except UnicodeDecodeError:
        return data.decode("latin-1").rstrip("\0")


def _user_comment(value: bytes) -> str | None:
    """The text of EXIF's UserComment, whose first eight bytes name its encoding."""
    mark, text = value[:8], value[8:]
    if mark == _ASCII:
        return _decoded(text)
    if mark != _UNICODE:
        return None
    readings: list[Callable[[], str]] = [
        lambda: text.decode("utf-16-be"),
        lambda: text.decode("utf-16-le"),
    ]
    # whose byte order nobody wrote down: western texts have a zero in every pair
    little = text[1::2].count(0) > text[0::2].count(0)
    try:
        return readings[little]().rstrip("\0")
    except UnicodeDecodeError:
        return None
