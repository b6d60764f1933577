"""Pillow's image modes, all of them, as arrays of grey or RGB with or without alpha."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .files import tiff
from .frame import Pixels

logger = logging.getLogger(__name__)

_GREY = frozenset(("1", "L", "LA", "La", "I", "F"))


def is_grey(image: Image.Image) -> bool:
    """Whether an image has one channel of brightness, in any depth, alpha or not."""
    return image.mode in _GREY or image.mode.startswith("I;16")


def is_deep(image: Image.Image) -> bool:
    """Whether Pillow itself has more than 8 bits of each sample."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def to_array(image: Image.Image, tell: Callable[[str], None] = logger.warning) -> Pixels:
    """An image of any mode as H x W x C: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.

    uint16 where `is_deep`, else uint8. Transparent colours and palette entries become alpha,
    premultiplied colours straight. A palette of greys becomes grey. CMYK goes through its colour
    profile to sRGB where it has one; `tell` gets a sentence where that does not work.
    """
    if is_deep(image):
        return _deep(image)[..., None]
    if image.mode == "CMYK":
        array = np.asarray(_from_cmyk(image, tell))
    else:
        array = np.asarray(image.convert(_plain_mode(image)))
    array = array.reshape(*array.shape[:2], -1)
    if image.mode in ("P", "PA") and not image.info.get("icc_profile"):
        return _grey_if_all_are(array)
    return array


def declared_channels(image: Image.Image) -> int:
    """What `to_array` will give at most: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""
    return len(_plain_mode(image))


def _plain_mode(image: Image.Image) -> str:
    """L, LA, RGB or RGBA: which of them holds all of the image."""
    alpha = image.mode.endswith(("A", "a")) or "transparency" in image.info
    if image.palette is not None and image.palette.mode == "RGBA":
        alpha = True
    return ("L" if is_grey(image) else "RGB") + ("A" if alpha else "")


def _grey_if_all_are(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = array[..., :1]
    if (array[..., 1:3] == grey).all():
        return np.concatenate([grey, array[..., 3:]], axis=2)
    return array


def _deep(image: Image.Image) -> NDArray[np.uint16]:
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        bits = tiff.bits_per_sample(image) if image.format == "TIFF" else 16
        if bits < 16:  # 12-bit cameras
            values = np.rint(values * (65535 / (2**bits - 1)))
        values = values.astype(np.uint16)
    else:
        values = _normalised(values)
    return 65535 - values if tiff.white_is_zero(image) else values


def _normalised(values: NDArray[np.generic]) -> NDArray[np.uint16]:
    """Integers of 32 bits and floats, in which no format says what white is.

    White is the first of these that nothing exceeds: 1 (floats only), 255 (floats only), 65535,
    the largest value itself. Negative and undefined values are black.
    """
    scale = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0).clip(0)
    most = float(scale.max())
    steps = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (65535.0,)
    white = next((step for step in steps if most <= step), most)
    logger.info("samples reach %g; %g is taken for white", most, white)
    return np.rint(scale * (65535 / white)).astype(np.uint16)


def _from_cmyk(image: Image.Image, tell: Callable[[str], None]) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    try:
        from PIL import ImageCms
    except ImportError:  # a build of Pillow without littleCMS
        tell("is in CMYK, and this Pillow has no colour management; colours are approximate")
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(
            image,
            source,
            target,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError) as error:
        tell(f"has colours whose CMYK profile could not be used ({error}); they are approximate")
        return image.convert("RGB")
    return converted or image.convert("RGB")
