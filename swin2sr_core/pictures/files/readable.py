"""Which picture files are read: all that the installed Pillow decodes, but for a few."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile, UnidentifiedImageError, features

from ...errors import InputError
from .source import Source

FIRST = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
"""Formats that are tried before Pillow imports all the others."""

DENIED = {
    "EPS": "a program that Ghostscript would run",
    "PDF": "a program as well, and made of pages without pixels",
    "WMF": "drawings that only Windows can render",
    "MPEG": "known by its header only: Pillow decodes no frames",
    "BUFR": "weather data, known by its header only",
    "GRIB": "weather data, known by its header only",
    "HDF5": "data of any kind, known by its header only",
    "IPTC": "texts, and sometimes a picture without a format of its own",
    "FITS": "measurements without a white; and it inflates without a limit",
    "FPX": "a file system of its own, whose reader Pillow does not bring",
    "MIC": "a file system of its own, whose reader Pillow does not bring",
}
"""Formats that Pillow opens and we do not, with the reason."""


class _PlugIn(NamedTuple):
    """A package that teaches Pillow a format."""

    format: str
    package: str
    module: str
    suffixes: tuple[str, ...]


_PLUG_INS = (
    _PlugIn("HEIC", "pillow-heif", "pillow_heif", (".heic", ".heif", ".hif")),
    _PlugIn("JPEG XL", "pillow-jxl-plugin", "pillow_jxl", (".jxl",)),
)
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")

_SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp"),
    *(".gif", ".dib", ".mpo", ".psd", ".tga", ".icb", ".vda", ".vst", ".qoi", ".ico", ".cur"),
    *(".icns", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".pcx", ".dcx", ".dds", ".sgi", ".rgb"),
    *(".rgba", ".bw", ".ras", ".msp", ".xbm", ".xpm", ".blp", ".ftu", ".ftc", ".fli", ".flc"),
    *(".im", ".pcd", ".pxr", ".gbr", ".spider"),
)
_OF_FEATURES = {
    "avif": (".avif", ".avifs"),
    "jpg_2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
}


def suffixes() -> frozenset[str]:
    """How the names of readable files end, in lower case, with what is installed here."""
    found = set(_SUFFIXES)
    for feature, names in _OF_FEATURES.items():
        if features.check(feature):
            found.update(names)
    for plug_in in _PLUG_INS:
        if importlib.util.find_spec(plug_in.module):
            found.update(plug_in.suffixes)
    return frozenset(found)


def missing_package(suffix: str) -> str | None:
    """The package that would read files with this suffix; None where there is none, or it is."""
    for plug_in in _PLUG_INS:
        if suffix.lower() in plug_in.suffixes and not importlib.util.find_spec(plug_in.module):
            return plug_in.package
    return None


def open_image(source: Source) -> ImageFile.ImageFile:
    """The picture as Pillow opens it, told by its content; it has to be closed with its `fp`.

    Raises UnidentifiedImageError for other files, InputError where a plug-in is missing.
    """
    file = source.open()
    try:
        with warnings.catch_warnings():
            # what is damaged in EXIF is told by who reads it (exif.py), in words
            warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
            try:
                return Image.open(file, formats=FIRST)
            except UnidentifiedImageError:
                return _opened_by_others(file, source)
    except BaseException:
        file.close()
        raise


def _opened_by_others(file: BinaryIO, source: Source) -> ImageFile.ImageFile:
    """By the formats of Pillow's that are rare, or by a plug-in."""
    Image.init()
    try:
        return Image.open(file, formats=_allowed())
    except UnidentifiedImageError:
        file.seek(0)
        if not _load_plug_in(file.read(16), source):
            raise
        return Image.open(file, formats=_allowed())


def _allowed() -> list[str]:
    return [kind for kind in Image.ID if kind not in DENIED]


def _load_plug_in(head: bytes, source: Source) -> bool:
    """Let the package register itself that reads a file with this beginning, if one does.

    Raises InputError where it is not installed.
    """
    heif = head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS
    if not heif and not head.startswith(_JXL_STARTS):
        return False
    plug_in = _PLUG_INS[0 if heif else 1]
    try:
        module = importlib.import_module(plug_in.module)
    except ImportError as error:
        raise InputError.saying(
            "picture_plug_in",
            "{path} is a {format} picture, which Pillow reads with a plug-in: pip install "
            "{package}",
            path=source.name,
            format=plug_in.format,
            package=plug_in.package,
        ) from error
    register = getattr(module, "register_heif_opener", None)
    if register is not None:
        register()
    return True
