"""Files <-> pictures as ComfyUI's core nodes have them: B H W C and B H W floats in 0..1.

The arithmetic is ComfyUI's, to the bit: the same file gives the same tensor, and back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence, PngImagePlugin
from torch import Tensor

from swin2sr_core.errors import InputError
from swin2sr_core.pictures.files.output_file import output_file

from ...comfy_stub.model_management import throw_exception_if_processing_interrupted

_BAND = 256
"""Rows that become 8 bits at once: floats of a whole picture beside it would be four times that."""

_NO_MASK = 64
"""Side of the mask, all zeros, of a picture without an alpha channel."""


def file_digest(path: Path) -> str:
    """The SHA-256 of a file. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_image(path: Path) -> tuple[Tensor, Tensor]:
    """A picture file -> B H W 3, and its masks B H W: 1 - alpha, or 1 64 64 zeros without alpha.

    All frames of an animation that have the size of the first. Raises InputError.
    """
    images: list[Tensor] = []
    masks: list[Tensor] = []
    with _opened(path) as file:
        for raw in ImageSequence.Iterator(file):
            throw_exception_if_processing_interrupted()
            frame = _upright(raw)
            color = _floats(frame.convert("RGB"))
            if images and color.shape != images[0].shape:
                continue
            images.append(color)
            masks.append(_mask(frame))
        if file.format == "MPO":  # the second one is for the other eye
            images, masks = images[:1], masks[:1]
    return torch.stack(images), torch.stack(masks)


def read_channel(path: Path, channel: str) -> Tensor:
    """One of alpha, red, green, blue of a picture file -> 1 H W; alpha as 1 - alpha."""
    with _opened(path) as file:
        frame = _upright(file)
        if frame.getbands() != ("R", "G", "B", "A"):
            frame = frame.convert("RGBA")
        plane = _floats(frame.getchannel(channel[0].upper()))
    return (1.0 - plane if channel == "alpha" else plane)[None]


def write_png(image: Tensor, path: Path, info: PngImagePlugin.PngInfo, compression: int) -> None:
    """H W C in 0..1 -> an 8-bit PNG, whole or not at all; fractions are cut off, as ComfyUI does.

    Raises InputError where the file cannot be written.
    """
    throw_exception_if_processing_interrupted()
    bands = (np.clip(255.0 * band.cpu().numpy(), 0, 255) for band in image.split(_BAND))
    values = np.concatenate([band.astype(np.uint8) for band in bands])
    picture = Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
    with output_file(path, overwrite=True) as file:
        picture.save(file, format="PNG", pnginfo=info, compress_level=compression)


def resized(image: Tensor, width: int, height: int, method: str, center: bool = False) -> Tensor:
    """B H W C -> B height width C; `center` crops to the new shape first."""
    planes = image.movedim(-1, 1)
    if center:
        planes = _cropped(planes, width / height)
    result = planes.new_empty(len(planes), planes.shape[1], height, width)
    for frame, place in zip(planes, result, strict=True):
        throw_exception_if_processing_interrupted()
        if method == "lanczos":
            place.copy_(_lanczos(frame, width, height))
        else:
            size = (height, width)
            place.copy_(torch.nn.functional.interpolate(frame[None], size=size, mode=method)[0])
    return result.movedim(1, -1)


def with_same_channels(image1: Tensor, image2: Tensor) -> tuple[Tensor, Tensor]:
    """Two pictures of as many channels: one without alpha is opaque."""
    missing = image1.shape[-1] - image2.shape[-1]
    if missing > 0:
        image2 = torch.nn.functional.pad(image2, (0, missing), value=1.0)
    elif missing < 0:
        image1 = torch.nn.functional.pad(image1, (0, -missing), value=1.0)
    return image1, image2


def _cropped(planes: Tensor, aspect: float) -> Tensor:
    height, width = planes.shape[-2:]
    x = y = 0
    if width / height > aspect:
        x = round((width - width * (aspect / (width / height))) / 2)
    elif width / height < aspect:
        y = round((height - height * ((width / height) / aspect)) / 2)
    return planes[..., y : height - y, x : width - x]


def _lanczos(planes: Tensor, width: int, height: int) -> Tensor:
    """C H W -> C height width, through 8 bits."""
    pixels = planes[0] if len(planes) == 1 else planes.movedim(0, -1)
    values = np.clip(255.0 * pixels.cpu().numpy(), 0, 255).astype(np.uint8)
    resized = _floats(Image.fromarray(values).resize((width, height), Image.Resampling.LANCZOS))
    return resized[None] if len(planes) == 1 else resized.movedim(-1, 0)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture file, open; whatever is wrong with it, found then or later, is an InputError."""
    try:
        with Image.open(path) as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(f"there is no input picture {path.name}; check its name") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path.name} is no picture that can be read: {error}") from error


def _upright(frame: Image.Image) -> Image.Image:
    """Turned as its EXIF says, and reduced to 8 bits where it has more."""
    frame = ImageOps.exif_transpose(frame)
    return frame.point(lambda value: value * (1 / 255)) if frame.mode == "I" else frame


def _mask(frame: Image.Image) -> Tensor:
    """H W, 1 where the frame is transparent."""
    if "A" in frame.getbands():
        return 1.0 - _floats(frame.getchannel("A"))
    if frame.mode == "P" and "transparency" in frame.info:
        return 1.0 - _floats(frame.convert("RGBA").getchannel("A"))
    return torch.zeros(_NO_MASK, _NO_MASK)


def _floats(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture).astype(np.float32) / 255.0)
