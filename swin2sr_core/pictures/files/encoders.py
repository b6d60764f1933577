"""Frames to files: one encoder per format, chosen by the name's suffix."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedWriter
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from ...errors import InputError
from ..frame import Frame, Pixels, Strips, over_white, to_pixels
from .avif import write_avif
from .bmp import write_bmp
from .carrying import carried
from .color import fitted
from .formats import ANIMATED, DEEP, FORMATS, OPAQUE, PAGED, format_of
from .gif import write_gif
from .jpeg import QUALITY as JPEG_QUALITY
from .jpeg import write_jpeg
from .metadata import Metadata
from .notices import Notices
from .output_file import output_file
from .output_limits import check_output, not_animated
from .png import write_apng, write_png
from .tiff import write_tiff
from .webp import write_webp, write_webp_animation

__all__ = ["ANIMATED", "DEEP", "FORMATS", "JPEG_QUALITY", "format_of", "save_picture"]


T = TypeVar("T")


def save_picture(
    path: str | Path,
    frames: Iterable[Frame | Strips],
    metadata: Metadata | None = None,
    *,
    bits: int = 8,
    quality: int | None = None,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Write frames as the picture or animation that the suffix of `path` names.

    Formats: .png (.apng), .jpg, .jpeg, .webp, .tif, .tiff, .bmp, .gif, .avif. Frames are taken one
    at a time, so that a generator need not have them all, and rounded as `to_pixels` says. Of
    `Strips` no more than a band is kept in a PNG, TIFF or BMP; others want all pixels, as bytes.

    metadata: what goes into the file besides pixels, as far as its format holds it. More than one
        frame makes an animation, played at `metadata.durations`, or, where it is
        `metadata.paged`, the pages of a TIFF (of other formats the first alone is written).
    bits: 8, or 16 (PNG and TIFF).
    quality: 0..100 for JPEG (95 if None; colour is never subsampled), AVIF (90 if None) and WebP
        (lossless if None); other formats are lossless and have none, but GIF, which reduces each
        frame to 256 colours.
    Alpha is kept in PNG, WebP, TIFF, AVIF and, as all or nothing, in GIF; for JPEG and BMP the
    picture is laid on white, with a notice.

    Returns what could not be kept as it was: sentences with the file's name, which are logged, too.

    The file appears when it is complete; nothing is left behind by a failure or an interrupt.
    Raises InputError for an unknown suffix, what the format cannot hold, a missing or read-only
    folder and a full disk, and OutputExistsError if `path` exists and `overwrite` is false.
    """
    path, metadata = Path(path), metadata or Metadata()
    kind = format_of(path)
    _check_options(path, kind, metadata, bits, quality)
    notices = Notices(str(path))
    with output_file(path, overwrite=overwrite) as sink:
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            raise InputError(f"{path.name} was not written: there are no frames to write")
        check_output(path, *first.size, 1, first.channels, bits)
        writer = _Writer(path, kind, metadata, bits, quality, notices)
        timed = len(metadata.durations) > 1
        begun = deque([first])
        del first  # of an animation there is one float frame at a time
        if not timed and not metadata.paged and isinstance(begun[0], Frame):
            begun.extend(islice(frames, 1))
        if kind in PAGED and metadata.paged:
            write_tiff(sink, writer.pages(chain(_taken(begun), frames)), bits)
        elif timed or len(begun) > 1:
            if kind not in ANIMATED:
                raise not_animated(path, kind)
            writer.write_animation(sink, chain(_taken(begun), frames))
        else:
            writer.write_still(sink, begun.popleft())
    return notices.told


def _check_options(
    path: Path, kind: str, metadata: Metadata, bits: int, quality: int | None
) -> None:
    if bits not in (8, 16):
        raise InputError(f"bits must be 8 or 16, got {bits}")
    if bits == 16 and kind not in DEEP:
        raise InputError(f"{kind} holds 8 bits, not 16; write {path.stem}.png or {path.stem}.tif")
    if quality is not None and not 0 <= quality <= 100:
        raise InputError(f"quality must be 0 to 100, got {quality}")
    if len(metadata.durations) > 1 and kind not in ANIMATED:
        raise not_animated(path, kind)


def _taken(queue: deque[T]) -> Iterator[T]:
    """What waits, without keeping it."""
    while queue:
        yield queue.popleft()


def _alike(frames: Iterable[Pixels]) -> Iterator[Pixels]:
    """The frames of an animation as they come, all with the first one's size and channels."""
    shape = None
    for pixels in frames:
        shape = shape or pixels.shape
        if pixels.shape != shape:
            raise InputError(
                "the frames of an animation must have one height, width and number of channels: "
                f"the first has {shape}, another {pixels.shape}"
            )
        yield pixels


@dataclass(frozen=True)
class _Writer:
    """How one file is written, and what is told of it."""

    path: Path
    kind: str
    metadata: Metadata
    bits: int
    quality: int | None
    notices: Notices

    def pages(self, frames: Iterable[Frame | Strips]) -> Iterator[tuple[Frame | Strips, Metadata]]:
        """Each page with what its directory says; what describes the file stands in the first."""
        metadata = self.metadata
        for frame in frames:
            yield self._prepared(frame, metadata)
            metadata = metadata.stripped()

    def write_still(self, sink: BufferedWriter, frame: Frame | Strips) -> None:
        frame, metadata = self._prepared(frame, self.metadata)
        frame = self._holdable(frame)
        if self.kind == "PNG":
            write_png(sink, frame, metadata, self.bits)
        elif self.kind == "WEBP":
            write_webp(sink, to_pixels(frame), metadata, self.quality)
        elif self.kind == "GIF":
            write_gif(sink, [to_pixels(frame)], metadata, animated=False)
        elif self.kind == "JPEG":
            write_jpeg(sink, to_pixels(frame), metadata, self.quality)
        elif self.kind == "TIFF":
            write_tiff(sink, [(frame, metadata)], self.bits)
        elif self.kind == "AVIF":
            write_avif(sink, to_pixels(frame), metadata, self.quality)
        else:
            write_bmp(sink, frame, metadata)

    def write_animation(self, sink: BufferedWriter, frames: Iterator[Frame | Strips]) -> None:
        frame, metadata = self._prepared(next(frames), self.metadata)
        pixels = deque([to_pixels(frame, self.bits)])
        del frame
        alike = _alike(chain(_taken(pixels), (self._pixels(each) for each in frames)))
        if self.kind == "PNG":
            write_apng(sink, alike, metadata)
        elif self.kind == "WEBP":
            write_webp_animation(sink, alike, metadata, self.quality)
        else:
            write_gif(sink, alike, metadata, animated=True)

    def _pixels(self, frame: Frame | Strips) -> Pixels:
        return to_pixels(self._prepared(frame, self.metadata)[0], self.bits)

    def _prepared(
        self, frame: Frame | Strips, metadata: Metadata
    ) -> tuple[Frame | Strips, Metadata]:
        """The frame and its metadata as this format holds them."""
        change, metadata = fitted(frame.channels, metadata, self.kind, self.bits, self.notices)
        frame = frame.mapped(change) if change else frame
        return frame, carried(metadata, self.kind, frame.size, self.notices)

    def _holdable(self, frame: Frame | Strips) -> Frame | Strips:
        """The frame without the alpha that its format does not have."""
        if self.kind not in OPAQUE or frame.channels not in (2, 4):
            return frame
        name = self.notices.file_name
        self.notices.say(f"{self.kind} has no transparency; {name} is laid on white")
        return frame.mapped(over_white)
