"""Pictures in files: opened and decoded to frames here, written by `save_picture`.

with open_picture("in.webp") as picture:
    frames = (upscale_frame(frame, network) for frame in picture.frames())
    save_picture("out.webp", frames, picture.metadata)
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from ..errors import InputError
from .files import png, tiff
from .files.animation import DEFAULT_MS
from .files.metadata import (
    Metadata,
    carried_exif,
    orientation,
    plays,
    profile_fits,
    read_dpi,
    read_exif,
)
from .frame import Frame, Pixels, from_pixels
from .pixels import declared_channels, is_deep, is_grey, to_array

logger = logging.getLogger(__name__)

MAX_PIXELS = 100_000_000
"""The most pixels a picture may have unless told otherwise: x4 makes 1.6 billion of them."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
_ANIMATED = ("PNG", "WEBP", "GIF")
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError),
    *(struct.error, zlib.error),
)
_pillow_settings = RLock()


class _Layout(NamedTuple):
    """What all frames of an animation are, so that they fit into one file."""

    grey: bool
    alpha: bool

    @property
    def channels(self) -> int:
        return (1 if self.grey else 3) + self.alpha


@dataclass(frozen=True)
class Picture:
    """An opened picture file: `size` is (width, height) as it is looked at, orientation applied.

    `channels` is what its frames have at most: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    """

    path: Path
    size: tuple[int, int]
    frame_count: int
    channels: int
    metadata: Metadata
    _max_pixels: int
    _orientation: int
    _png: png.PngHeader | None
    _layout: _Layout | None
    _files: ExitStack

    def frames(self) -> Iterator[Frame]:
        """Decode one frame after the other; those of an animation are fully composited.

        Of an animation all frames are grey or all RGB, with alpha or all without. Each call starts
        from the beginning and reads the file anew.
        Raises InputError where the file turns out to be damaged.
        """
        return self._files.enter_context(closing(self._decoded()))

    def _decoded(self) -> Generator[Frame, None, None]:
        if self._layout is None:
            # closed before the consumer, who may want to replace the file, goes on
            with self._reading(), _opened(self.path) as image:
                pixels = self._still(image)
            yield from_pixels(pixels)
            return
        with self._reading():
            image = _opened(self.path)
        with image:
            for number in _frame_numbers(image):
                with self._reading():
                    pixels = _composited(image, number, self.size, self._max_pixels)
                    pixels = _arranged(pixels, self._layout)
                yield from_pixels(pixels)

    def _reading(self) -> AbstractContextManager[None]:
        return _reading(self.path, self._max_pixels)

    def _still(self, image: ImageFile.ImageFile) -> Pixels:
        if self._png and self._png.readable_at_16:
            pixels = png.decode_16(self.path, self._png)
        elif tiff.readable_at_16(image):
            return tiff.decode_16(image, lambda: _opened(self.path))
        else:
            pixels = to_array(image)
        return pixels if image.format == "TIFF" else _turned(pixels, self._orientation)


@contextmanager
def open_picture(path: str | Path, max_pixels: int = MAX_PIXELS) -> Iterator[Picture]:
    """Open a picture or animation of PNG, JPEG, WebP, TIFF, BMP or GIF, told by its content.

    Of a still picture this reads the header alone; an animation is decoded once, to know its
    timing and whether any frame has colour or transparency. Of a TIFF the first page counts.

    Raises InputError for a file that is missing, unreadable, no picture or damaged, and for one of
    more than `max_pixels` pixels (of one frame).
    """
    path = Path(path)
    with ExitStack() as files:
        with _reading(path, max_pixels), _opened(path) as image:
            picture = _inspected(image, path, max_pixels, files)
        yield picture


def _inspected(image: Image.Image, path: Path, max_pixels: int, files: ExitStack) -> Picture:
    turned_by_pillow = image.format == "TIFF"
    width, height = tiff.stored_size(image) if turned_by_pillow else image.size
    _check_size(path, (width, height), max_pixels)
    header = png.read_header(path) if image.format == "PNG" else None
    exif = read_exif(image, header.chunks.get(b"eXIf") if header else None)
    turn = orientation(exif)
    numbers = _frame_numbers(image)
    animated = len(numbers) > 1
    bits = _depth(image, header, path)
    metadata = Metadata(
        icc_profile=_fitting_profile(image),
        dpi=read_dpi(image, exif),
        exif=carried_exif(exif),
        bits=bits,
        loop=plays(image.info, image.format) if animated else 0,
        png_color=_color_chunks(header),
    )
    layout = None
    if animated:
        layout, durations = _surveyed(image, numbers, max_pixels)
        metadata = replace(metadata, durations=durations)
        turn = 1  # no player of animations looks at the orientation
    size = (height, width) if turn >= 5 else (width, height)
    channels = layout.channels if layout else declared_channels(image)
    return Picture(
        path, size, len(numbers), channels, metadata, max_pixels, turn, header, layout, files
    )


def _opened(path: Path) -> ImageFile.ImageFile:
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a picture; name a file in it")
    return Image.open(path, formats=_FORMATS)


@contextmanager
def _reading(path: Path, max_pixels: int) -> Iterator[None]:
    """Let Pillow work under this limit of pixels, and tell its failures as InputError."""
    with _pillow_settings:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        except FileNotFoundError as error:
            raise InputError(f"there is no file {path}; check the name") from error
        except UnidentifiedImageError as error:
            formats = ", ".join(_FORMATS)
            raise InputError(
                f"{path} is not a picture of a kind that is read here ({formats}), or damaged"
            ) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_large(path, "too many", max_pixels) from error
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno:
                raise InputError(f"cannot read {path}: {error.strerror}") from error
            raise InputError(
                f"{path} is damaged or incomplete ({error}); get the picture anew"
            ) from error
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_size(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise _too_large(path, f"{size[0]} x {size[1]}", max_pixels)


def _too_large(path: Path, what: str, max_pixels: int) -> InputError:
    return InputError(
        f"{path} has {what} pixels, and the limit is {max_pixels:,}; make it smaller, or raise "
        "the limit (max_pixels) if you trust the file"
    )


def _frame_numbers(image: Image.Image) -> range:
    """Which of Pillow's frames are those of the picture or animation."""
    count = int(getattr(image, "n_frames", 1))
    if image.format == "TIFF" and count > 1:
        logger.warning("the TIFF has %d pages; only the first is read", count)
    if image.format not in _ANIMATED or count == 1:
        return range(1)
    # the first picture of an APNG may be one for readers without animation
    return range(1 if image.info.get("default_image") else 0, count)


def _depth(image: Image.Image, header: png.PngHeader | None, path: Path) -> int:
    readable = bool(header and header.readable_at_16) or tiff.readable_at_16(image)
    if is_deep(image) or readable:
        return 16
    if (header and header.depth == 16) or tiff.bits_per_sample(image) > 8:
        logger.warning("%s has more than 8 bits in a way of which only 8 are read", path)
    return 8


def _fitting_profile(image: Image.Image) -> bytes | None:
    profile = image.info.get("icc_profile")
    known = is_grey(image) or image.mode in ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "YCbCr")
    return profile if known and profile_fits(profile, 1 if is_grey(image) else 3) else None


def _color_chunks(header: png.PngHeader | None) -> tuple[tuple[bytes, bytes], ...]:
    chunks = header.chunks if header else {}
    return tuple((name, chunks[name]) for name in png.COLOR_CHUNKS if name in chunks)


def _surveyed(
    image: Image.Image, numbers: range, max_pixels: int
) -> tuple[_Layout, tuple[float, ...]]:
    """What all frames have in common, and how long each is shown."""
    grey, alpha, durations = True, False, []
    for number in numbers:
        pixels = _composited(image, number, image.size, max_pixels)
        # GIF has no grey to declare: its colours tell
        plain = image.format == "GIF" and bool((pixels[..., :1] == pixels[..., 1:3]).all())
        grey &= pixels.shape[2] <= 2 or plain
        # encoders declare alpha for their own use too: to leave pixels as they were before
        if pixels.shape[2] in (2, 4):
            alpha |= bool((pixels[..., -1] < np.iinfo(pixels.dtype).max).any())
        durations.append(float(image.info.get("duration", DEFAULT_MS)))
    return _Layout(grey, alpha), tuple(durations)


def _composited(image: Image.Image, number: int, size: tuple[int, int], max_pixels: int) -> Pixels:
    image.seek(number)
    if image.size != size:  # a GIF may draw outside of its own canvas
        _check_size(Path(str(getattr(image, "filename", ""))), image.size, max_pixels)
        return to_array(image.crop((0, 0, *size)))
    return to_array(image)


def _arranged(pixels: Pixels, layout: _Layout) -> Pixels:
    channels = pixels.shape[2]
    color, alpha = pixels[..., : 1 if channels <= 2 else 3], pixels[..., 3 if channels > 2 else 1 :]
    if layout.grey:
        color = color[..., :1]
    elif channels <= 2:
        color = np.repeat(color, 3, axis=2)
    if layout.alpha and not alpha.shape[2]:
        alpha = np.full_like(color[..., :1], np.iinfo(pixels.dtype).max)
    return np.concatenate([color, alpha], axis=2) if layout.alpha else color


def _turned(pixels: Pixels, turn: int) -> Pixels:
    """Rows and columns as EXIF's orientation `turn`, 1 to 8, wants them."""
    if turn >= 5:
        pixels = pixels.transpose(1, 0, 2)  # H W C -> W H C
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
