"""What each format can hold, told before anything is computed, and how large a file will be."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from PIL import __version__ as PIL_VERSION
from PIL import features

from ...errors import InputError
from ...sentences import sentence
from .formats import ANIMATED, DEEP, PAGED, format_of


class _Limit(NamedTuple):
    """The most that one picture of a format may have."""

    side: int
    pixels: int | None = None
    file_bytes: int | None = None


_GIB4 = 2**32
_DIRECTORY_BYTES = 2**24
_LIMITS = {
    "PNG": _Limit(2**31 - 1),
    "JPEG": _Limit(65500),  # libjpeg's own; the format would go to 65535
    "WEBP": _Limit(16383),
    # offsets have 32 bits; the directory and its profile want some of them
    "TIFF": _Limit(2**31 - 1, file_bytes=_GIB4 - _DIRECTORY_BYTES),
    "BMP": _Limit(2**31 - 1, file_bytes=_GIB4 - 1),
    "GIF": _Limit(65535),
    # what libavif writes beyond these, its own decoder refuses to read
    "AVIF": _Limit(32768, pixels=2**28),
}
_ALTERNATIVES = (".webp", ".tif", ".png")  # the last one holds everything
_DEFLATE_SHARE = 1.001
"""What deflate makes of samples that cannot be compressed."""

_BYTES_PER_SAMPLE = {
    "PNG": 0.25,
    "TIFF": 0.45,
    "BMP": 1.0,
    "GIF": 0.15,
    "JPEG": 0.08,
    "WEBP": 0.17,
    "AVIF": 0.03,
}
"""Measured on photographs, drawings and paintings after x4, at the usual quality."""
_DEEP_SHARE = 0.75
"""The low bytes of 16-bit samples are close to noise: of two bytes this much is left."""


def check_output(
    path: Path, width: int, height: int, frames: int = 1, channels: int = 3, bits: int = 8
) -> None:
    """Refuse what the format named by the suffix of `path` cannot hold.

    width, height: of the output in pixels; frames: of an animation or pages; channels: 1 grey,
    2 grey and alpha, 3 RGB, 4 RGB and alpha; bits: 8 or 16 a sample.

    Raises InputError, which names a format that can, or the suffix where that is unknown.
    """
    kind = format_of(path)
    if kind == "AVIF" and not features.check("avif"):
        raise InputError.saying(
            "output_avif",
            "this Pillow ({version}) cannot write AVIF; get one from 11.3 on, or write {name}.webp",
            version=PIL_VERSION,
            name=path.stem,
        )
    if bits == 16 and kind not in DEEP:
        raise InputError.saying(
            "output_bits",
            "{format} holds 8 bits, not 16; write {name}.png or {name}.tif",
            format=kind,
            name=path.stem,
        )
    if frames > 1 and kind not in ANIMATED | PAGED:
        raise not_animated(path, kind)
    problem = _problem(kind, width, height, frames, channels, bits)
    if problem:
        raise InputError.saying(
            "output_too_large",
            "{problem}; write a {suffix}",
            problem=problem,
            suffix=_alternative(width, height, frames, channels, bits),
        )


def estimated_bytes(
    path: Path,
    width: int,
    height: int,
    frames: int = 1,
    channels: int = 3,
    bits: int = 8,
    quality: int | None = None,
) -> int:
    """About how large the file will be: what to compare with the free space of its disk.

    Pictures differ by a factor of two and more from it, to either side; BMP does not.
    """
    kind = format_of(path)
    samples = width * height * channels * frames
    if kind == "BMP":
        return _raw_bytes(kind, width, height, channels, bits)
    share = _BYTES_PER_SAMPLE[kind]
    if kind == "WEBP" and quality is not None:
        share = _BYTES_PER_SAMPLE["JPEG"] / 2
    return int(samples * (2 * _DEEP_SHARE if bits == 16 else share))


def not_animated(path: Path, kind: str) -> InputError:
    """The error of an animation that a format cannot hold."""
    return InputError.saying(
        "output_animated",
        "{format} holds one frame, not an animation; write {name}.webp, {name}.png or {name}.gif",
        format=kind,
        name=path.stem,
    )


def _problem(
    kind: str, width: int, height: int, frames: int, channels: int, bits: int
) -> str | None:
    limit = _LIMITS[kind]
    if max(width, height) > limit.side:
        return sentence(
            "output_side",
            "{format} pictures are at most {limit} pixels a side, got {size}",
            format=kind,
            limit=limit.side,
            size=f"{width} x {height}",
        )
    if limit.pixels and width * height > limit.pixels:
        return sentence(
            "output_pixels",
            "{format} pictures have at most {limit:,} pixels, got {size}",
            format=kind,
            limit=limit.pixels,
            size=f"{width} x {height}",
        )
    needed = frames * _raw_bytes(kind, width, height, channels, bits)
    if limit.file_bytes and needed > limit.file_bytes:
        pages = f"{frames} x " if frames > 1 else ""
        return sentence(
            "output_bytes",
            "{size} pixels do not fit into a {format} file (4 GiB)",
            size=f"{pages}{width} x {height}",
            format=kind,
        )
    return None


def _raw_bytes(kind: str, width: int, height: int, channels: int, bits: int) -> int:
    """What the samples take where nothing of them can be compressed."""
    if kind == "BMP":
        row = width * (1 if channels <= 2 else 3)
        return 54 + (1024 if channels <= 2 else 0) + (row + 3) // 4 * 4 * height
    if kind == "TIFF" and channels == 2 and bits == 16:
        channels = 4  # written as RGB with alpha
    return int(width * height * channels * (bits // 8) * _DEFLATE_SHARE)


def _alternative(width: int, height: int, frames: int, channels: int, bits: int) -> str:
    """A suffix whose format holds it."""
    for suffix in _ALTERNATIVES:
        kind = format_of(Path(f"a{suffix}"))
        holds = (frames == 1 or kind in ANIMATED) and (bits == 8 or kind in DEEP)
        if holds and not _problem(kind, width, height, frames, channels, bits):
            return suffix
    return _ALTERNATIVES[-1]
