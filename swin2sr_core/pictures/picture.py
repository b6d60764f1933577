"""Pictures in files: opened and decoded to frames here, written by `save_picture`.

with open_picture("in.webp") as picture:
    frames = (upscale_frame(frame, network) for frame in picture.frames())
    save_picture("out.webp", frames, picture.metadata)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from ..errors import InputError
from .files import png, tiff
from .files.metadata import Metadata
from .files.notices import Notices
from .files.readable import FIRST
from .files.source import source_of
from .frame import Frame, Pixels, from_pixels
from .inspection import Facts, Limits, inspected, opened
from .limits import MAX_FRAMES, MAX_PIXELS
from .pixels import to_array
from .survey import arranged, composited

__all__ = ["MAX_FRAMES", "MAX_PIXELS", "Picture", "open_picture"]

_DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, EOFError),
    *(struct.error, zlib.error, AttributeError, AssertionError, RuntimeError),
)
"""What Pillow raises, by its many formats, on files that are not as they should be."""
_pillow_settings = RLock()


@dataclass(frozen=True)
class Picture:
    """An opened picture file: `size` is (width, height) as it is looked at, orientation applied.

    `channels` is what its frames have at most: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    `frame_count` counts frames of an animation or pages of a TIFF; pages may differ in size, and
    `size` is the first one's.
    """

    path: Path
    size: tuple[int, int]
    frame_count: int
    channels: int
    metadata: Metadata
    _facts: Facts
    _limits: Limits
    _notices: Notices
    _files: ExitStack

    @property
    def format(self) -> str:
        """The format as Pillow names it: what the content is, whatever the file's name."""
        return self._facts.format

    @property
    def frames_in_file(self) -> int:
        """Frames or pages that the file has, also where it was opened for the first alone."""
        return self._facts.in_file

    @property
    def paged(self) -> bool:
        """Whether the frames are pages, each a picture of its own."""
        return self.frame_count > 1 and self._facts.layout is None

    @property
    def notices(self) -> tuple[str, ...]:
        """What was left out or read in part so far, a sentence each with the file's name."""
        return self._notices.told

    def frames(self) -> Iterator[Frame]:
        """Decode one frame after the other; those of an animation are fully composited.

        Of an animation all frames are grey or all RGB, with alpha or all without. Each call starts
        from the beginning and reads the file anew.
        Raises InputError where the file turns out to be damaged.
        """
        return self._files.enter_context(closing(self._decoded()))

    def _decoded(self) -> Generator[Frame, None, None]:
        facts = self._facts
        if facts.layout is None:
            for number in facts.numbers:
                # closed before the consumer, who may want to replace the file, goes on
                with self._reading(), opened(facts.source) as image:
                    pixels = self._still(image, number)
                yield from_pixels(pixels)
            return
        with ExitStack() as files:
            with self._reading():
                image = files.enter_context(opened(facts.source))
            for number in facts.numbers:
                with self._reading():
                    self._check_unchanged(image)
                    pixels = arranged(composited(image, number, self.size), facts.layout)
                yield from_pixels(pixels)

    def _reading(self) -> AbstractContextManager[None]:
        return _reading(self.path, self._limits.pixels)

    def _still(self, image: ImageFile.ImageFile, number: int) -> Pixels:
        header = self._facts.png
        if number:
            image.seek(number)
        else:
            self._check_unchanged(image)
        if header and header.readable_at_16:
            pixels = png.decode_16(self._facts.source, header)
        elif tiff.readable_at_16(image):
            return tiff.decode_16(image, lambda: self._reopened(number))
        else:
            pixels = to_array(image, self._notices.tell)
        return pixels if image.format == "TIFF" else _turned(pixels, self._facts.turn)

    @contextmanager
    def _reopened(self, number: int) -> Iterator[ImageFile.ImageFile]:
        with opened(self._facts.source) as image:
            image.seek(number)
            yield image

    def _check_unchanged(self, image: Image.Image) -> None:
        """What was checked is what is decoded."""
        width, height = self.size
        if sorted(image.size) != sorted((width, height)) and image.tell() == 0:
            raise InputError.saying(
                "picture_changed",
                "{path} has changed while it was read, from {before} to {after} pixels; try again",
                path=self.path,
                before=f"{width} x {height}",
                after=f"{image.width} x {image.height}",
            )


@contextmanager
def open_picture(
    path: str | Path | BinaryIO,
    max_pixels: int = MAX_PIXELS,
    *,
    max_frames: int = MAX_FRAMES,
    pages: bool = False,
    first_only: bool = False,
) -> Iterator[Picture]:
    """Open a picture or animation of any kind that the installed Pillow decodes.

    path: a file, or an opened binary file, which is read whole. The content tells the format.
    pages: whether all pages of a TIFF are frames; else the first is, and a notice
        tells of the rest.
    first_only: of an animation or of pages the first frame alone, as a still picture.
    Of a still picture this reads the header alone; an animation is decoded once, to know its
    timing and whether any frame has colour or transparency.

    Raises InputError for a file that is missing, unreadable, no picture or damaged, and for one of
    more than `max_pixels` pixels (of one frame), more than `max_frames` frames, or more pixels in
    all of them than `limits.TOTAL_PICTURES` pictures may have.
    """
    source = source_of(path)
    notices = Notices(str(source.name))
    limits = Limits(max_pixels, max_frames)
    with ExitStack() as files:
        with _reading(source.name, max_pixels):
            facts = inspected(source, limits, notices, pages=pages, first_only=first_only)
        yield Picture(
            path=source.name,
            size=facts.size,
            frame_count=len(facts.numbers),
            channels=facts.channels,
            metadata=facts.metadata,
            _facts=facts,
            _limits=limits,
            _notices=notices,
            _files=files,
        )


@contextmanager
def _reading(path: Path, max_pixels: int) -> Iterator[None]:
    """Let Pillow work under this limit of pixels, and tell its failures as InputError."""
    with _pillow_settings:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        except FileNotFoundError as error:
            raise InputError.saying(
                "picture_missing", "there is no file {path}; check the name", path=path
            ) from error
        except UnidentifiedImageError as error:
            raise InputError.saying(
                "picture_unknown",
                "{path} is not a picture of a kind that is read here ({formats}, and what else "
                "the installed Pillow decodes), or damaged",
                path=path,
                formats=", ".join(FIRST),
            ) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise Limits(max_pixels, 0).too_large(path, "too many") from error
        except MemoryError as error:
            raise InputError.saying(
                "picture_memory",
                "{path} is damaged, or there is not enough memory to decode it",
                path=path,
            ) from error
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno:
                raise InputError.saying(
                    "picture_unreadable",
                    "cannot read {path}: {reason}",
                    path=path,
                    reason=error.strerror,
                ) from error
            raise InputError.saying(
                "picture_damaged",
                "{path} is damaged or incomplete ({error}); get the picture anew",
                path=path,
                error=error,
            ) from error
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _turned(pixels: Pixels, turn: int) -> Pixels:
    """Rows and columns as EXIF's orientation `turn`, 1 to 8, wants them."""
    if turn >= 5:
        pixels = pixels.transpose(1, 0, 2)  # H W C -> W H C
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
