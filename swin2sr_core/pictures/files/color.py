"""What the numbers of a picture mean as colours, kept where a format can say it, else converted.

Curves and matrices: sRGB (IEC 61966-2-1), ITU-T H.273 for the numbers of cICP, PNG's third
edition for gAMA and cHRM, ICC.1 for profiles.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from ..frame import Frame, from_pixels, to_pixels
from .gray_profile import as_rgb
from .metadata import Metadata, profile_fits
from .notices import Notices

if TYPE_CHECKING:
    from torch import Tensor

_WITH_PROFILE = frozenset(("PNG", "JPEG", "WEBP", "TIFF", "AVIF"))
_ALWAYS_RGB = frozenset(("WEBP", "AVIF"))
_SRGB_GAMMA = 45455
_GAMMA_TOLERANCE = 500
_SRGB_PRIMARIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES = {  # of H.273: white, red, green, blue, each x and y
    1: _SRGB_PRIMARIES,
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_SRGB_CURVES = (1, 6, 13, 14, 15)
"""Transfers that screens show as sRGB or as near to it as makes no difference."""
_HDR = {16: "PQ", 18: "HLG"}


Conversion = Callable[[Frame], Frame]


class _Meaning(NamedTuple):
    """Light by numbers: a power, or None for sRGB's curve; and the corners of the colours."""

    gamma: float | None
    primaries: tuple[float, ...]


def fitted(
    channels: int, metadata: Metadata, kind: str, bits: int, notices: Notices
) -> tuple[Conversion | None, Metadata]:
    """What a format needs to hold a frame of so many channels without changing how it looks.

    What to do to its colours, pixel by pixel (None: nothing), and the metadata. What the format
    cannot say is made sRGB, and told.
    """
    profile = metadata.icc_profile
    grey = channels <= 2
    if profile and not profile_fits(profile, 1 if grey else 3):
        profile = None
    if kind == "PNG":
        return None, replace(metadata, icc_profile=profile)
    plain = replace(metadata, png_color=(), icc_profile=profile)
    chunks = dict(metadata.png_color)
    if chunks and not (profile and b"cICP" not in chunks):
        return _by_chunks(chunks, kind, notices), replace(plain, icc_profile=None)
    if profile is None:
        return None, plain
    if kind not in _WITH_PROFILE:
        conversion = _by_profile(profile, grey=grey)
        how = "converted to sRGB" if conversion else "left out"
        notices.tell(f"has its colour profile {how}: {kind} has no place for one")
        return conversion, replace(plain, icc_profile=None)
    as_color = kind in _ALWAYS_RGB or (kind == "TIFF" and bits == 16 and channels == 2)
    if grey and as_color:
        profile = as_rgb(profile)
        if profile is None:
            notices.tell(f"leaves out the profile for grey: {kind} stores RGB here")
    return None, replace(plain, icc_profile=profile)


def _by_profile(profile: bytes, *, grey: bool) -> Conversion | None:
    """To sRGB, 8 bits a sample; None where this Pillow or the profile cannot."""
    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, "L" if grey else "RGB", "RGB")
    except (ImportError, OSError, ValueError, TypeError, RuntimeError):
        return None
    except Exception as error:  # PyCMSError cannot be named where the import failed
        if type(error).__name__ != "PyCMSError":
            raise
        return None

    def convert(frame: Frame) -> Frame:
        pixels = to_pixels(frame)
        image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels[..., :3]))
        color = from_pixels(np.asarray(transform.apply(image))).color
        return Frame(color[:, :1].contiguous() if grey else color, frame.alpha)

    return convert


def _by_chunks(chunks: dict[bytes, bytes], kind: str, notices: Notices) -> Conversion | None:
    """To sRGB, by what PNG's chunks say."""
    names = ", ".join(name.decode() for name in chunks)
    meaning = _meaning(chunks)
    if isinstance(meaning, str):
        notices.tell(f"leaves out {names} without converting ({meaning}): {kind} has no place")
        return None
    extra = [name for name in ("mDCV", "cLLI") if name.encode() in chunks]
    if extra:
        notices.tell(f"leaves out {', '.join(extra)}: {kind} has no place for it")
    if meaning is None or (meaning.gamma is None and meaning.primaries == _SRGB_PRIMARIES):
        return None
    notices.tell(f"has its colours converted to sRGB: {kind} has no place for {names}")
    return lambda frame: Frame(_to_srgb(frame.color, meaning), frame.alpha)


def _meaning(chunks: dict[bytes, bytes]) -> _Meaning | str | None:
    """What the chunks say; None for nothing, a reason where it cannot be converted."""
    if len(code := chunks.get(b"cICP", b"")) == 4:
        return _of_code(code)
    if b"sRGB" in chunks:
        return _Meaning(None, _SRGB_PRIMARIES)
    value = int.from_bytes(chunks.get(b"gAMA", b""), "big")
    corners = chunks.get(b"cHRM", b"")
    if not value and len(corners) != 32:
        return None
    like_srgb = not value or abs(value - _SRGB_GAMMA) <= _GAMMA_TOLERANCE
    gamma = None if like_srgb else 100_000 / value
    if len(corners) != 32:
        return _Meaning(gamma, _SRGB_PRIMARIES)
    primaries = tuple(number / 100_000 for number in struct.unpack(">8I", corners))
    near = np.allclose(primaries, _SRGB_PRIMARIES, atol=0.002)
    if not near and not _is_triangle(primaries):
        return "its cHRM is damaged"
    return _Meaning(gamma, _SRGB_PRIMARIES if near else primaries)


def _of_code(code: bytes) -> _Meaning | str:
    primaries, transfer, matrix, full = code
    if transfer in _HDR:
        return f"{_HDR[transfer]} is for brighter screens than sRGB's"
    known = transfer in _GAMMAS or transfer in _SRGB_CURVES
    if primaries not in _PRIMARIES or not known or matrix or full != 1:
        return f"colour code {primaries}/{transfer}/{matrix}/{full} is not known here"
    return _Meaning(_GAMMAS.get(transfer), _PRIMARIES[primaries])


def _is_triangle(primaries: tuple[float, ...]) -> bool:
    if any(y <= 0 for y in primaries[1::2]):
        return False
    return abs(float(np.linalg.det(_columns(primaries[2:])))) > 1e-6


def _columns(corners: tuple[float, ...]) -> np.ndarray:
    """X Y Z of each corner, at a brightness of 1, as columns."""
    pairs = zip(corners[0::2], corners[1::2], strict=True)
    return np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in pairs]).T


def _to_xyz(primaries: tuple[float, ...]) -> np.ndarray:
    """The matrix from linear RGB to X Y Z, white at a brightness of 1."""
    corners = _columns(primaries[2:])
    white = _columns(primaries[:2])[:, 0]
    return corners * np.linalg.solve(corners, white)


def _to_srgb(color: Tensor, meaning: _Meaning) -> Tensor:
    """1 x C x H x W in 0..1, to sRGB; colours that it does not have are clipped."""
    import torch

    light = color.clamp(0, 1)
    light = _srgb_to_light(light) if meaning.gamma is None else light**meaning.gamma
    if light.shape[1] == 3 and meaning.primaries != _SRGB_PRIMARIES:
        # both sides scaled to white = white: with D65 on both this is exact
        source, target = _to_xyz(meaning.primaries), _to_xyz(_SRGB_PRIMARIES)
        adapted = _adaptation(source.sum(axis=1), target.sum(axis=1))
        matrix = np.linalg.inv(target) @ adapted @ source
        weights = torch.as_tensor(matrix, dtype=light.dtype, device=light.device)
        light = torch.einsum("oc,bchw->bohw", weights, light)
    return _light_to_srgb(light.clamp(0, 1))


_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _adaptation(white: np.ndarray, to_white: np.ndarray) -> np.ndarray:
    """Bradford's matrix that makes one white the other."""
    gains = (_BRADFORD @ to_white) / (_BRADFORD @ white)
    return np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD


def _srgb_to_light(value: Tensor) -> Tensor:
    import torch

    return torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _light_to_srgb(light: Tensor) -> Tensor:
    import torch

    curve = 1.055 * light.clamp_min(1e-8) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, light * 12.92, curve)
