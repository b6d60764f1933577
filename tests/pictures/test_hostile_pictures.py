"""Pictures of strangers: what they ask for is refused before it is taken, in one sentence."""

import io
import os
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from swin2sr_core.errors import InputError
from swin2sr_core.pictures import limits
from swin2sr_core.pictures.files import jpeg_segments, png_chunks
from swin2sr_core.pictures.picture import open_picture


def chunk(kind, content=b""):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def ihdr(width, height, depth=8, kind=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))


def idat(width, height, depth=8, channels=1):
    row = b"\0" + bytes(width * channels * depth // 8)
    return chunk(b"IDAT", zlib.compress(row * height))


def png(*chunks, size=(8, 8)):
    return b"".join([png_chunks.SIGNATURE, ihdr(*size), *chunks, idat(*size), chunk(b"IEND")])


def gif(width, height, frames, canvas=(4, 4), first=None):
    """So many frames of that size, but for the first one, with no pixels in them."""
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    sizes = [first or (width, height)] + [(width, height)] * (frames - 1)
    body = b"".join(
        b"\x2c" + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\x02\x02\x4c\x01\0" for size in sizes
    )
    return head + body + b"\x3b"


def tiff(entries, order="<"):
    """A file of one directory; entries: tag -> (type, values)."""
    body = b""
    start = 8 + 2 + 12 * len(entries) + 4
    fields = b""
    for tag, (kind, values) in sorted(entries.items()):
        data = b"".join(struct.pack(order + {3: "H", 4: "I"}[kind], each) for each in values)
        if len(data) > 4:
            place = struct.pack(order + "I", start + len(body))
            body += data
        else:
            place = data.ljust(4, b"\0")
        fields += struct.pack(order + "HHI", tag, kind, len(values)) + place
    head = b"II*\0" + struct.pack(order + "I", 8) + struct.pack(order + "H", len(entries))
    return head + fields + struct.pack(order + "I", 0) + body


def tiled_tiff(side, tile_width, tile_height):
    return tiff({
        256: (3, [side]), 257: (3, [side]), 258: (3, [8]), 259: (3, [8]), 262: (3, [1]),
        277: (3, [1]), 322: (4, [tile_width]), 323: (4, [tile_height]), 324: (4, [8]),
        325: (4, [100]),
    })  # fmt: skip


def bmp(width, height, compression=0):
    """A header alone."""
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 24 if not compression else 8, compression,
        0, 0, 0, 0, 0
    )  # fmt: skip


def jpeg(width, height, scans):
    """A progressive picture whose last scan comes again and again."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


TOO_LARGE = {
    "png": png_chunks.SIGNATURE + ihdr(100_000, 100_000) + chunk(b"IDAT") + chunk(b"IEND"),
    "png of 2**31": png_chunks.SIGNATURE + ihdr(2**31 - 1, 2**31 - 1) + chunk(b"IEND"),
    "gif canvas": gif(4, 4, 1, canvas=(65535, 65535)),
    "gif frame": gif(10_001, 10_000, 1),
    "gif frame outside": gif(65535, 65535, 1),
    "gif frame later": gif(10_001, 10_000, 2, first=(4, 4)),
    "bmp": bmp(60_000, 60_000),
    "bmp upside down": bmp(60_000, -60_000),
    "bmp of runs": bmp(60_000, 60_000, compression=1),
    "tiff": tiff({256: (4, [60_000]), 257: (4, [60_000]), 258: (3, [8]), 259: (3, [1]),
                  262: (3, [1]), 273: (4, [8]), 277: (3, [1]), 279: (4, [10])}),
    "ppm": b"P6 99999 99999 255\n",
}  # fmt: skip


@pytest.mark.parametrize("content", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_more_pixels_than_the_limit(content, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(content)
    with (
        pytest.raises(InputError, match=r"pixels, and the limit is|too large|--max-pixels"),
        open_picture(path),
    ):
        pass


@pytest.mark.parametrize("sizes", [((8, 8), (4000, 4000)), ((4000, 4000), (8, 8)), ((8, 8),) * 2])
def test_two_headers(sizes, tmp_path):
    """Readers disagree about which of them counts, and so would the limit and the decoder."""
    (tmp_path / "x.png").write_bytes(png(ihdr(*sizes[1], 16), size=sizes[0]))
    with (
        pytest.raises(InputError, match="two headers"),
        open_picture(tmp_path / "x.png", max_pixels=1000),
    ):
        pass


@pytest.mark.parametrize(
    "content", [png(size=(0, 8)), png(size=(8, 0)), bmp(0, 5), gif(1, 1, 1, (0, 5))]
)
def test_no_pixels_at_all(content, tmp_path):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError), open_picture(tmp_path / "x"):
        pass


@pytest.mark.parametrize(
    ("width", "height", "told"),
    [
        (32768, 48000, "tiles of 32768 pixels a side in a picture of 16"),
        (16, 48000, "tiles of 48000 pixels"),
        (32768, 16, "tiles of 32768 pixels"),
        (2**31, 2**31, "tiles of 2147483648 pixels"),
        (0, 16, "x.tif"),
    ],
)
def test_tiles_that_no_program_makes(width, height, told, tmp_path):
    """A decoder would take memory for a whole tile, and find only then that it is damaged."""
    (tmp_path / "x.tif").write_bytes(tiled_tiff(16, width, height))
    with (
        pytest.raises(InputError, match=told),
        open_picture(tmp_path / "x.tif") as picture,
    ):
        list(picture.frames())


def test_common_tiles_are_read(tmp_path):
    path = tmp_path / "x.tif"
    image = Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))
    image.save(path, compression="tiff_lzw", tiffinfo={322: 256, 323: 256})
    with open_picture(path) as picture:
        assert picture.size == (64, 64)


def many_frames(kind, count):
    if kind == "gif":
        return gif(4, 4, count)
    if kind == "apng":
        return png(chunk(b"acTL", struct.pack(">II", count, 0)))
    directory = struct.pack("<H", 0)
    head = b"II*\0" + struct.pack("<I", 8)
    return head + b"".join(
        directory + struct.pack("<I", 8 + 6 * (each + 1)) for each in range(count)
    )


@pytest.mark.parametrize("kind", ["gif", "apng", "tiff"])
def test_more_frames_than_the_limit(kind, tmp_path):
    (tmp_path / "x").write_bytes(many_frames(kind, 100_000))
    with (
        pytest.raises(InputError, match=r"more than 10,000 frames.*--max-frames"),
        open_picture(tmp_path / "x", pages=True),
    ):
        pass


def test_the_limit_of_frames_is_the_callers(tmp_path):
    frames = [Image.new("L", (8, 8), each) for each in range(5)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    with open_picture(tmp_path / "x.gif", max_frames=5) as picture:
        assert picture.frame_count == 5
    with (
        pytest.raises(InputError, match="more than 4 frames"),
        open_picture(tmp_path / "x.gif", max_frames=4),
    ):
        pass


def test_all_frames_together_have_a_limit(tmp_path):
    """A hundred frames, each just within the limit of one."""
    (tmp_path / "x.gif").write_bytes(gif(90, 90, 100, canvas=(90, 90)))
    with (
        pytest.raises(InputError, match=r"pixels in its .* frames"),
        open_picture(tmp_path / "x.gif", max_pixels=8100),
    ):
        pass


@pytest.mark.parametrize("first", [(90, 90), (4, 4)])
def test_frames_larger_than_the_canvas_count_as_large(first, tmp_path):
    """A canvas grows to its frames, and then costs as much for each of them."""
    (tmp_path / "x.gif").write_bytes(gif(90, 90, 100, canvas=(4, 4), first=first))
    with (
        pytest.raises(InputError, match=r"810,000 pixels in its .* frames"),
        open_picture(tmp_path / "x.gif", max_pixels=8100),
    ):
        pass


def test_a_tiff_that_goes_in_a_circle(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "x.tif")
    data = bytearray((tmp_path / "x.tif").read_bytes())
    at = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, at)[0]
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    (tmp_path / "x.tif").write_bytes(data)
    with open_picture(tmp_path / "x.tif", pages=True) as picture:
        assert picture.frame_count == 1
        assert len(list(picture.frames())) == 1


def test_scans_that_no_encoder_makes(tmp_path):
    (tmp_path / "x.jpg").write_bytes(jpeg(16, 16, limits.JPEG_SCANS + 1))
    with pytest.raises(InputError, match="more than 200 scans"), open_picture(tmp_path / "x.jpg"):
        pass
    (tmp_path / "y.jpg").write_bytes(jpeg(16, 16, 30))
    with open_picture(tmp_path / "y.jpg") as picture:
        assert len(list(picture.frames())) == 1


def test_scans_end_the_walk(tmp_path, monkeypatch):
    """What comes after one too many is not looked at."""
    monkeypatch.setattr(jpeg_segments, "JPEG_SCANS", 12)
    (tmp_path / "x.jpg").write_bytes(jpeg(16, 16, 500))
    with (tmp_path / "x.jpg").open("rb") as file:
        from swin2sr_core.pictures.files.source import source_of

        assert jpeg_segments.read_segments(source_of(file)).scans == 13


def test_more_chunks_than_any_writer_makes(tmp_path, monkeypatch):
    monkeypatch.setattr(png_chunks, "PNG_CHUNKS", 1000)
    (tmp_path / "x.png").write_bytes(png(*[chunk(b"teSt")] * 1000))
    with (
        pytest.raises(InputError, match="more than 1,000 chunks"),
        open_picture(tmp_path / "x.png"),
    ):
        pass


LARGE = {
    "text": chunk(b"tEXt", b"prompt\0" + b"x" * (3 << 20)),
    "packed text": chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"x" * (3 << 20))),
    "international": chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b"x" * (3 << 20))),
}


@pytest.mark.parametrize("content", LARGE.values(), ids=LARGE.keys())
def test_sound_texts_of_megabytes_are_read(content, tmp_path):
    """Workflows in pictures reach a few megabytes; Pillow alone calls such files damaged."""
    (tmp_path / "x.png").write_bytes(png(content))
    with open_picture(tmp_path / "x.png") as picture:
        assert len(list(picture.frames())) == 1
        assert not picture._notices.told


BOMBS = {
    "text": chunk(b"tEXt", b"a\0" + b"x" * (limits.TEXT_BYTES + 1)),
    "packed text": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(limits.TEXT_BYTES + 1))),
    "international": chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(limits.TEXT_BYTES + 1))),
    "profile": chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(limits.PROFILE_BYTES + 1))),
    "damaged profile": chunk(b"iCCP", b"a\0\0nothing"),
    "damaged text": chunk(b"zTXt", b"a\0\0nothing"),
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS.keys())
def test_what_is_too_much_beside_the_picture_is_left_out(content, tmp_path):
    (tmp_path / "x.png").write_bytes(png(content))
    with open_picture(tmp_path / "x.png") as picture:
        assert len(list(picture.frames())) == 1
        assert len(picture._notices.told) == 1
        assert "left out" in picture._notices.told[0]


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_what_is_too_much_is_not_unpacked(kind, tmp_path, monkeypatch):
    """64 MiB in 64 KiB: no more memory is taken than what is let through."""
    monkeypatch.setattr(png_chunks, "TEXT_BYTES", 1 << 18)
    monkeypatch.setattr(png_chunks, "PROFILE_BYTES", 1 << 18)
    (tmp_path / "x.png").write_bytes(png(chunk(kind, b"a\0\0" + zlib.compress(bytes(64 << 20)))))
    tracemalloc.start()
    try:
        with open_picture(tmp_path / "x.png") as picture:
            assert "left out" in picture._notices.told[0]
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_all_texts_together_have_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(png_chunks, "ALL_TEXT_BYTES", 5000)
    one = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 2000))
    (tmp_path / "x.png").write_bytes(png(one, one, one, one))
    with open_picture(tmp_path / "x.png") as picture:
        assert sum(len(each.text) for each in picture._facts.png.texts) <= 5000
        assert "left out" in picture._notices.told[0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs and no /dev/zero")
def test_pipes_and_devices(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "zero.png"):
        with pytest.raises(InputError), open_picture(tmp_path / name):
            pass


@pytest.mark.parametrize("name", ["a\0.png", "\ud800.png", "x" * 5000])
def test_names_that_no_file_has(name):
    with pytest.raises(InputError), open_picture(name):
        pass


def sound():
    noise = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, kind)
        yield pytest.param(buffer.getvalue(), id=kind)


@pytest.mark.parametrize("content", sound())
def test_damage_anywhere_is_a_picture_or_one_sentence(content, tmp_path):
    """Each byte of the first 200 in turn, and 300 at random places, set to other values."""
    generator = np.random.default_rng(1)
    places = [*range(min(200, len(content))), *generator.integers(0, len(content), 300)]
    for at in places:
        damaged = bytearray(content)
        damaged[at] ^= int(generator.integers(1, 256))
        try:
            with open_picture(io.BytesIO(damaged), max_pixels=10_000) as picture:
                assert sum(1 for _ in picture.frames()) >= 1
        except InputError as error:
            assert "\n" not in str(error)


def test_what_was_too_large_counts_as_unpacked(tmp_path, monkeypatch):
    """Else a file of bombs costs each of them in full: here the first five use up the room."""
    monkeypatch.setattr(png_chunks, "ALL_TEXT_BYTES", 5000)
    monkeypatch.setattr(png_chunks, "TEXT_BYTES", 1000)
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000)))
    (tmp_path / "x.png").write_bytes(png(*[bomb] * 50))
    with open_picture(tmp_path / "x.png") as picture:
        assert picture._facts.png.unpacked == 5000
        assert not picture._facts.png.texts


def test_scans_of_large_pictures_are_fewer(tmp_path):
    """Each scan goes over the whole picture: 30 of 16 x 16 are as much as 20 may be in all."""
    (tmp_path / "x.jpg").write_bytes(jpeg(16, 16, 30))
    with open_picture(tmp_path / "x.jpg", max_pixels=1000) as picture:
        assert picture.size == (16, 16)
    with (
        pytest.raises(InputError, match=r"scans of 16 x 16 pixels"),
        open_picture(tmp_path / "x.jpg", max_pixels=300),
    ):
        pass
