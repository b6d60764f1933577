import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from swin2sr_core.errors import InputError
from swin2sr_core.pictures import open_picture, save_picture
from swin2sr_core.pictures.files.metadata import Metadata
from swin2sr_core.pictures.frame import Frame, from_pixels, to_pixels

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
ADAM7.append((0, 1, 1, 2))  # x, y, steps in x, steps in y


def chunk(name, content):
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def independent_png(pixels, *, interlaced=False, before=(), pieces=1):
    """A PNG with no filters, built without the code under test; uint8 or uint16 H x W x C."""
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, pixels.itemsize * 8, kind, 0, 0, interlaced)
    passes = [pixels[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlaced else [pixels]
    rows = (row for part in passes if part.size for row in part.astype(f">u{pixels.itemsize}"))
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    size = -(-len(data) // pieces)
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            *(chunk(*pair) for pair in before),
            *(chunk(b"IDAT", part) for part in parts),
            chunk(b"IEND", b""),
        ]
    )


def random_pixels(shape, bits, seed=0):
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bits, shape, dtype)


def read(path, bits=16):
    with open_picture(path) as picture:
        (frame,) = picture.frames()
        return to_pixels(frame, bits), picture.metadata


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (9, 17)])
def test_all_16_bits_are_read(tmp_path, channels, interlaced, size):
    pixels = random_pixels((*size, channels), 16)
    path = tmp_path / "a.png"
    path.write_bytes(independent_png(pixels, interlaced=interlaced, pieces=3))
    result, metadata = read(path)
    np.testing.assert_array_equal(result, pixels)
    assert metadata.bits == 16


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_of_16_bits_is_alpha(tmp_path, channels):
    pixels = random_pixels((4, 6, channels), 16)
    pixels[1, 2] = pixels[3, 3] = 0x1234
    pixels[0, 0] = 0x1235  # the same in 8 bits
    path = tmp_path / "a.png"
    key = (b"tRNS", b"\x12\x34" * channels)
    path.write_bytes(independent_png(pixels, before=[key]))

    result, _ = read(path)

    expected = np.full((4, 6), 65535)
    expected[1, 2] = expected[3, 3] = 0
    np.testing.assert_array_equal(result[..., -1], expected)
    np.testing.assert_array_equal(result[..., :-1], pixels)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.integers(1, 4),
    kind=st.sampled_from(["noise", "smooth", "few"]),
    seed=st.integers(0, 1000),
)
def test_pillow_reads_what_is_written(tmp_path_factory, height, width, channels, kind, seed):
    pixels = random_pixels((height, width, channels), 8, seed)
    if kind == "smooth":  # so that every filter gets its turn
        pixels = np.cumsum(pixels // 64, axis=seed % 2).astype(np.uint8)
    elif kind == "few":
        pixels = pixels % 3
    path = tmp_path_factory.mktemp("png") / "a.png"
    save_picture(path, [from_pixels(pixels)])
    with Image.open(path) as image:
        assert image.mode == MODES[channels]
        np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_there_and_back_in_16_bits(tmp_path, channels):
    pixels = random_pixels((33, 21, channels), 16)
    save_picture(tmp_path / "a.png", [from_pixels(pixels)], bits=16)
    result, metadata = read(tmp_path / "a.png")
    np.testing.assert_array_equal(result, pixels)
    assert metadata.bits == 16


def test_several_bands_and_chunks(tmp_path):
    pixels = random_pixels((900, 800, 4), 16)
    save_picture(tmp_path / "a.png", [from_pixels(pixels)], bits=16)
    np.testing.assert_array_equal(read(tmp_path / "a.png")[0], pixels)


def test_16_bits_differ_from_8(tmp_path):
    """The high bytes alone, which is what Pillow gives, would be another picture."""
    pixels = np.full((4, 4, 3), 0x10FF, np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(independent_png(pixels))
    with Image.open(path) as image:
        assert np.asarray(image.convert("RGB")).max() == 0x10
    assert read(path, bits=8)[0].min() == 0x11  # the nearest of 8 bits


def test_smooth_pictures_get_smaller_than_unfiltered(tmp_path):
    y, x = np.mgrid[:256, :256]
    pixels = np.stack([x, y, (x + y) // 2], axis=-1).astype(np.uint8)
    save_picture(tmp_path / "a.png", [from_pixels(pixels)])
    assert (tmp_path / "a.png").stat().st_size < len(independent_png(pixels)) / 3


def test_colour_chunks_survive(tmp_path):
    chunks = [
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
        (b"gAMA", struct.pack(">I", 45455)),
        (b"sRGB", b"\0"),
    ]
    path = tmp_path / "a.png"
    path.write_bytes(independent_png(random_pixels((2, 2, 3), 8), before=chunks))
    _, metadata = read(path)
    assert set(metadata.png_color) == set(chunks)
    save_picture(tmp_path / "b.png", [Frame(torch.rand(1, 3, 2, 2))], metadata)
    assert read(tmp_path / "b.png")[1].png_color == metadata.png_color


def test_a_profile_takes_the_place_of_srgb(tmp_path):
    profile = (b"\0" * 16 + b"RGB ").ljust(200, b"\1")
    metadata = Metadata(icc_profile=profile, png_color=((b"sRGB", b"\0"), (b"gAMA", b"\0\0\1\0")))
    save_picture(tmp_path / "b.png", [Frame(torch.rand(1, 3, 2, 2))], metadata)
    data = (tmp_path / "b.png").read_bytes()
    assert b"sRGB" not in data and b"gAMA" in data and b"iCCP" in data


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_cut_file_of_16_bits(tmp_path, cut):
    data = independent_png(random_pixels((30, 30, 3), 16), pieces=4)
    path = tmp_path / "a.png"
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(InputError, match=r"a\.png is damaged or incomplete"):
        read(path)


def test_a_flipped_bit_in_16_bits(tmp_path):
    data = bytearray(independent_png(random_pixels((30, 30, 3), 16)))
    data[len(data) // 2] ^= 4
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(InputError, match="check sum"):
        read(path)
