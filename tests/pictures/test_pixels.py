import logging
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from swin2sr_core.pictures.pixels import to_array

RNG = np.random.default_rng(0)
GREYS = RNG.integers(0, 256, (4, 6)).astype(np.uint8)
COLORS = RNG.integers(0, 256, (4, 6, 3)).astype(np.uint8)
ALPHA = np.array([[0, 255, 128, 255, 0, 64]] * 4, np.uint8)


def image(*bands: np.ndarray, mode: str | None = None) -> Image.Image:
    made = Image.fromarray(bands[0] if len(bands) == 1 else np.dstack(bands))
    return made.convert(mode) if mode else made


def cmyk_profile():
    """A small ICC profile of a press: Lab colours for the 16 corners of CMYK, linear between."""
    inks = {0: (55, -37, -50), 1: (48, 74, -3), 2: (89, -5, 93), 3: (16, 0, 0)}  # L a b of each
    grid = bytearray()
    for corner in range(16):  # the last ink varies fastest
        light, a, b = 1.0, 0.0, 0.0
        for ink, (ink_light, ink_a, ink_b) in inks.items():
            if corner >> (3 - ink) & 1:
                light, a, b = light * ink_light / 100, a + ink_a, b + ink_b
        grid += bytes([round(light * 255), *(min(max(round(128 + v), 0), 255) for v in (a, b))])
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + identity * 4 + grid + identity * 3
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags, body = [(b"A2B0", lut), (b"wtpt", white)], b""
    start = 128 + 4 + 12 * len(tags)
    table = struct.pack(">I", len(tags))
    for name, content in tags:
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content.ljust(-(-len(content) // 4) * 4, b"\0")
    head = bytearray(128)
    struct.pack_into(
        ">I4xI4s4s4s", head, 0, start + len(body), 0x02400000, b"prtr", b"CMYK", b"Lab "
    )
    head[36:40] = b"acsp"
    struct.pack_into(">3i", head, 68, 63190, 65536, 54061)
    return bytes(head) + table + body


def test_plain_modes_are_taken_as_they_are():
    np.testing.assert_array_equal(to_array(image(GREYS)), GREYS[..., None])
    np.testing.assert_array_equal(to_array(image(COLORS)), COLORS)
    np.testing.assert_array_equal(to_array(image(COLORS, ALPHA)), np.dstack([COLORS, ALPHA]))
    np.testing.assert_array_equal(to_array(image(GREYS, ALPHA)), np.dstack([GREYS, ALPHA]))


def test_one_bit_is_grey():
    made = Image.fromarray(GREYS > 100)
    assert made.mode == "1"
    np.testing.assert_array_equal(to_array(made)[..., 0], (GREYS > 100) * 255)


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_becomes_straight(mode):
    bands = (GREYS, ALPHA) if mode == "La" else (COLORS, ALPHA)
    result = to_array(image(*bands, mode=mode)).astype(int)
    assert result.shape[2] == len(mode)
    np.testing.assert_array_equal(result[..., -1], ALPHA)
    difference = np.abs(result - np.dstack(bands))[ALPHA >= 64]
    assert difference.max() <= 4  # 255 / 64


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "RGBX"])
def test_other_colour_spaces_become_rgb(mode):
    smooth = np.dstack([*np.mgrid[60:180:20, 60:180:20]]).astype(np.uint8)
    made = Image.fromarray(np.dstack([smooth, smooth[..., :1]]))
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        other = ImageCms.applyTransform(made, to_lab)
        assert other is not None
    else:
        other = made.convert(mode)
    result = to_array(other).astype(int)
    assert result.shape[2] == 3
    assert np.abs(result - np.asarray(made)).max() <= 8


def test_palettes():
    made = image(np.arange(24, dtype=np.uint8).reshape(4, 6))
    made.putpalette(COLORS.tobytes())
    assert made.mode == "P"
    np.testing.assert_array_equal(to_array(made), COLORS)
    made.info["transparency"] = 3
    np.testing.assert_array_equal(to_array(made)[..., :3], COLORS)
    assert to_array(made)[..., 3].ravel().tolist() == [255] * 3 + [0] + [255] * 20


def test_a_palette_with_alpha():
    made = image(np.arange(24, dtype=np.uint8).reshape(4, 6))
    made.putpalette(COLORS.tobytes())
    made.info["transparency"] = ALPHA.tobytes()
    np.testing.assert_array_equal(to_array(made), np.dstack([COLORS, ALPHA]))
    made = image(np.arange(24, dtype=np.uint8).reshape(4, 6))
    made.putpalette(np.dstack([COLORS, ALPHA]).tobytes(), "RGBA")
    np.testing.assert_array_equal(to_array(made), np.dstack([COLORS, ALPHA]))


def test_a_palette_of_greys_is_grey_unless_a_profile_says_how_its_colours_look():
    made = image(np.arange(24, dtype=np.uint8).reshape(4, 6))
    made.putpalette(np.repeat(GREYS[..., None], 3, axis=2).tobytes())
    np.testing.assert_array_equal(to_array(made), GREYS[..., None])
    made.info["transparency"] = 0
    assert to_array(made).shape == (4, 6, 2)
    made.info["icc_profile"] = b"x"
    assert to_array(made).shape == (4, 6, 4)


def test_palette_with_an_alpha_band():
    made = Image.merge("PA", [image(GREYS // 11, mode="P"), image(ALPHA)])
    made.putpalette(RNG.integers(0, 256, 768).astype(np.uint8).tobytes())
    result = to_array(made)
    assert result.shape == (4, 6, 4)
    np.testing.assert_array_equal(result[..., 3], ALPHA)
    np.testing.assert_array_equal(result, np.asarray(made.convert("RGBA")))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_becomes_alpha(channels):
    pixels = GREYS.copy() if channels == 1 else COLORS.copy()
    pixels[1, 2] = 77
    pixels[0, 0] = 78
    made = Image.fromarray(pixels)
    made.info["transparency"] = 77 if channels == 1 else (77, 77, 77)
    result = to_array(made)
    np.testing.assert_array_equal(result[..., :-1].squeeze(), pixels)
    same = pixels == 77 if channels == 1 else (pixels == 77).all(axis=2)
    np.testing.assert_array_equal(result[..., -1], np.where(same, 0, 255))


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_16_bits_in_both_byte_orders(mode):
    values = RNG.integers(0, 65536, (4, 6))
    made = Image.frombytes(mode, (6, 4), values.astype(">u2" if mode[-1] == "B" else "<u2"))
    result = to_array(made)
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result[..., 0], values)


def test_integers_and_floats():
    values = RNG.integers(0, 65536, (4, 6)).astype(np.int32)
    np.testing.assert_array_equal(to_array(Image.fromarray(values))[..., 0], values)
    floats = (values / 65535).astype(np.float32)
    np.testing.assert_array_equal(to_array(Image.fromarray(floats))[..., 0], values)
    assert not to_array(Image.new("F", (2, 2))).any()
    assert not to_array(Image.new("I", (2, 2), -5)).any()


def test_cmyk_without_a_profile():
    result = to_array(Image.new("CMYK", (2, 2), (255, 0, 0, 0)))
    assert result[0, 0].tolist() == [0, 255, 255]


def test_cmyk_goes_through_its_profile():
    made = Image.new("CMYK", (4, 1))
    for x, ink in enumerate([(0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)]):
        made.putpixel((x, 0), ink)
    made.info["icc_profile"] = cmyk_profile()
    white, cyan, yellow, black = to_array(made)[0].astype(int)
    # what these inks look like on paper, in sRGB, and not the primaries that CMYK alone suggests
    for color, expected in [
        (white, (255, 255, 255)),
        (cyan, (0, 147, 221)),
        (yellow, (246, 222, 0)),
        (black, (41, 41, 41)),
    ]:
        assert np.abs(color - expected).max() < 16


def test_a_broken_cmyk_profile_is_told_and_passed_over(caplog):
    made = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    made.info["icc_profile"] = b"nonsense"
    with caplog.at_level(logging.WARNING):
        assert to_array(made)[0, 0].tolist() == [0, 255, 255]
    assert "CMYK profile could not be used" in caplog.text
