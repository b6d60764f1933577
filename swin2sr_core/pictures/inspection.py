"""What a picture file claims to be, checked against the limits before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageFile

from ..errors import InputError
from ..sentences import sentence
from .files import gif_blocks, jpeg_segments, png_chunks, tiff, tiff_pages
from .files.gathering import Looks, exif_of, gathered, orientation_of, packet_of
from .files.metadata import Metadata
from .files.notices import Notices
from .files.png_chunks import PngHeader
from .files.readable import open_image
from .files.source import Source
from .limits import JPEG_SCANS, TOTAL_PICTURES
from .pixels import declared_channels, is_deep
from .survey import Layout, surveyed

_ANIMATED = frozenset(("PNG", "WEBP", "GIF", "AVIF", "FLI"))
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_LAYERED = frozenset(("PSD",))
"""Formats whose first frame is all the others put together."""
_TURNED_BY_READER = frozenset(("JXL", "HEIF"))


@dataclass(frozen=True)
class Limits:
    """What a caller lets through: pixels of one frame, and frames."""

    pixels: int
    frames: int

    def check_size(self, path: Path, size: tuple[int, int]) -> None:
        """Raise InputError for a frame with more pixels, or without any."""
        if min(size) < 1:
            raise ValueError(f"it claims to be {size[0]} x {size[1]} pixels large")
        if size[0] * size[1] > self.pixels:
            raise self.too_large(path, f"{size[0]} x {size[1]}")

    def check_frames(self, path: Path, sizes: Sequence[tuple[int, int]], count: int) -> None:
        """Raise InputError where there are too many frames, or they have too many pixels in all.

        sizes: of each frame, or of all alike; count: how many are known to be there at least.
        """
        if count > self.frames:
            text = sentence(
                "picture_frames",
                "{path} has more than {limit:,} frames, which is the limit; take a part of "
                "it, or raise the limit (--max-frames) if you trust the file",
                path=path,
                limit=self.frames,
            )
            raise InputError(text, beyond_limit=True)
        pixels = sum(width * height for width, height in sizes)
        pixels *= count if len(sizes) == 1 else 1
        if count > 1 and pixels > TOTAL_PICTURES * self.pixels:
            text = sentence(
                "picture_all_frames",
                "{path} has {pixels:,} pixels in its {count:,} frames, and the limit is "
                "{limit:,}; take a part of it, or raise the limit (--max-pixels, a twentieth of "
                "it) if you trust the file",
                path=path,
                pixels=pixels,
                count=count,
                limit=TOTAL_PICTURES * self.pixels,
            )
            raise InputError(text, beyond_limit=True)

    def too_large(self, path: Path, what: str) -> InputError:
        """The error of a picture with so many ("300 x 400") pixels."""
        text = sentence(
            "picture_too_large",
            "{path} has {what} pixels, and the limit is {limit:,}; make it smaller, or "
            "raise the limit (--max-pixels) if you trust the file",
            path=path,
            what=what,
            limit=self.pixels,
        )
        return InputError(text, beyond_limit=True)


@dataclass(frozen=True)
class Facts:
    """What is known of a picture once it was looked at.

    source: with the parts alone that a decoder needs; numbers: Pillow's numbers of the frames;
    turn: EXIF's orientation, 1 to 8; layout: of an animation's frames, None for stills and pages;
    in_file: how many frames or pages there are, also where only the first is taken.
    """

    source: Source
    format: str
    size: tuple[int, int]
    numbers: tuple[int, ...]
    channels: int
    turn: int
    metadata: Metadata
    png: PngHeader | None
    layout: Layout | None
    in_file: int


@contextmanager
def opened(source: Source) -> Iterator[ImageFile.ImageFile]:
    """The picture as Pillow opens it, closed in the end."""
    image = open_image(source)
    file = image.fp
    try:
        yield image
    finally:
        image.close()
        if file is not None:
            file.close()


def inspected(
    source: Source, limits: Limits, notices: Notices, *, pages: bool, first_only: bool = False
) -> Facts:
    """Look at a picture's header, and, unless `first_only`, at all frames of an animation.

    Raises InputError for what is beyond the limits, and what damaged files make Pillow raise.
    """
    source, looks = _looked_at(source, limits, notices)
    with opened(source) as image:
        size = _checked_size(image, source.name, limits, looks)
        if looks.png:
            _hand_over(image, looks.png)
        exif = exif_of(image, looks, source, notices)
        turn = orientation_of(exif, packet_of(image, looks))
        numbers = _numbers(image, source, limits, notices, pages=pages)
        in_file = len(numbers)
        if image.format != "TIFF":
            limits.check_frames(source.name, [size], in_file)
        if first_only and in_file > 1:
            notices.tell(f"has {in_file} frames; only the first is read")
            numbers = numbers[:1]
        paged = image.format == "TIFF" and len(numbers) > 1
        animated = len(numbers) > 1 and not paged
        channels, bits = _declared(image, looks.png, numbers if paged else (), notices)
        metadata = replace(gathered(image, looks, exif, notices), bits=bits, paged=paged)
        layout = None
        if animated:
            layout, durations = surveyed(image, numbers)
            metadata = metadata.played(image, durations)
            channels = layout.channels
        # no player of animations looks at the orientation
        turn = 1 if animated or (image.format or "").upper() in _TURNED_BY_READER else turn
    return Facts(
        source=source,
        format=image.format or "",
        size=(size[1], size[0]) if turn >= 5 else size,
        numbers=numbers,
        channels=channels,
        turn=turn,
        metadata=metadata,
        png=looks.png,
        layout=layout,
        in_file=in_file,
    )


def _looked_at(source: Source, limits: Limits, notices: Notices) -> tuple[Source, Looks]:
    """What the file's own structure tells, and the source without what no decoder needs."""
    with source.open() as file:
        head = file.read(16)
    if head.startswith(png_chunks.SIGNATURE):
        header = png_chunks.read_header(source, notices)
        limits.check_size(source.name, (header.width, header.height))
        limits.check_frames(source.name, [(header.width, header.height)], header.claimed_frames)
        return source.only(header.spans), Looks(png=header)
    if head[:4] == b"GIF8":
        blocks = gif_blocks.read_blocks(source, limits.frames)
        size = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
        limits.check_size(source.name, size)
        if blocks.frames:
            limits.check_size(source.name, blocks.extent)
        # a frame may reach beyond the canvas, which then grows for all that follow
        grown = (max(size[0], blocks.extent[0]), max(size[1], blocks.extent[1]))
        limits.check_frames(source.name, [grown], blocks.frames)
        return source.only(blocks.spans), Looks(gif=blocks)
    if head[:2] == b"\xff\xd8":
        segments = jpeg_segments.read_segments(source)
        if segments.scans > JPEG_SCANS:
            raise InputError.saying(
                "picture_scans",
                "{path} has more than {limit} scans, as no encoder makes them; open and save it "
                "in a program that you trust",
                path=source.name,
                limit=JPEG_SCANS,
            )
        return source, Looks(jpeg=segments)
    if head[:4] in _TIFF_MARKS:
        pages = tiff_pages.count_pages(source, limits.frames)
        limits.check_frames(source.name, [], pages)
    return source, Looks()


def _checked_size(image: Image.Image, path: Path, limits: Limits, looks: Looks) -> tuple[int, int]:
    """Width and height as stored, orientation not applied."""
    size = tiff.stored_size(image) if image.format == "TIFF" else image.size
    limits.check_size(path, size)
    if looks.jpeg and looks.jpeg.scans * size[0] * size[1] > TOTAL_PICTURES * limits.pixels:
        raise InputError.saying(
            "picture_costly_scans",
            "{path} has {scans} scans of {size} pixels, each of which costs as much as a picture; "
            "open and save it in a program that you trust, or raise the limit (--max-pixels)",
            path=path,
            scans=looks.jpeg.scans,
            size=f"{size[0]} x {size[1]}",
        )
    if looks.png and (looks.png.width, looks.png.height) != image.size:
        raise ValueError("its parts tell different sizes")
    if problem := tiff_pages.tile_problem(image):
        raise InputError.saying(
            "picture_strange",
            "{path} has {problem}, as no program makes them; it is not decoded",
            path=path,
            problem=problem,
        )
    return size


def _hand_over(image: Image.Image, header: PngHeader) -> None:
    """Give Pillow's picture what it would have found in the chunks that were hidden from it."""
    if header.profile:
        image.info["icc_profile"] = header.profile


def _numbers(
    image: ImageFile.ImageFile,
    source: Source,
    limits: Limits,
    notices: Notices,
    *,
    pages: bool,
) -> tuple[int, ...]:
    """Which of Pillow's frames are those of the picture, the animation, or pages."""
    if image.format == "TIFF":
        return _pages(image, source, limits, notices, every=pages)
    count = int(getattr(image, "n_frames", 1))
    if image.format in _ANIMATED:
        limits.check_frames(source.name, [image.size], count)
        # the first picture of an APNG may be one for readers without animation
        first = 1 if count > 1 and image.info.get("default_image") else 0
        return tuple(range(first, max(count, 1)))
    sizes = image.info.get("sizes")
    if isinstance(sizes, (set, list)) and len(sizes) > 1:
        notices.tell(f"has the picture in {len(sizes)} sizes; the largest is read")
    elif count > 1 and image.format not in _LAYERED:
        notices.tell(f"has {count} pictures; only the first is read")
    return (0,)


def _pages(
    image: ImageFile.ImageFile,
    source: Source,
    limits: Limits,
    notices: Notices,
    *,
    every: bool,
) -> tuple[int, ...]:
    """The pages of a TIFF, each checked; smaller copies and masks are none."""
    count = tiff_pages.count_pages(source, limits.frames)
    if count <= 1:
        return (0,)
    numbers, sizes = [], []
    for number in range(count):
        image.seek(number)
        if number == 0 or tiff_pages.is_page(image):
            sizes.append(_checked_size(image, source.name, limits, Looks()))
            numbers.append(number)
    image.seek(0)
    if len(numbers) < count:
        notices.tell(f"has {count - len(numbers)} smaller copies or masks; they are left out")
    if len(numbers) > 1 and not every:
        notices.tell(
            f"has {len(numbers)} pages; only the first is read (as a TIFF all can be written)"
        )
        return (0,)
    limits.check_frames(source.name, sizes, len(numbers))
    return tuple(numbers)


def _declared(
    image: ImageFile.ImageFile,
    header: PngHeader | None,
    pages: tuple[int, ...],
    notices: Notices,
) -> tuple[int, int]:
    """The most channels and bits that the picture, or any of its pages, has."""
    channels, bits = declared_channels(image), _depth(image, header, notices)
    if header and header.grey:  # grey of 16 bits with alpha is RGBA to Pillow
        channels -= 2 if channels > 2 else 0
    for number in pages[1:]:
        image.seek(number)
        channels = max(channels, declared_channels(image))
        bits = max(bits, _depth(image, header, notices))
    if pages:
        image.seek(0)
    return channels, bits


def _depth(image: Image.Image, header: PngHeader | None, notices: Notices) -> int:
    readable = bool(header and header.readable_at_16) or tiff.readable_at_16(image)
    if is_deep(image) or readable:
        return 16
    if (header and header.depth == 16) or tiff.bits_per_sample(image) > 8:
        notices.tell("has more than 8 bits in a way of which only 8 are read")
    return 8
