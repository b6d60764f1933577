from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import features

from swin2sr_core.errors import InputError
from swin2sr_core.pictures.files.encoders import save_picture
from swin2sr_core.pictures.files.formats import FORMATS
from swin2sr_core.pictures.files.output_limits import check_output, estimated_bytes
from swin2sr_core.pictures.frame import Frame, from_pixels

AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("a.webp", (16384, 5), "WEBP pictures are at most 16383 pixels a side, got 16384 x 5"),
        ("a.webp", (5, 16384), "at most 16383 pixels a side, got 5 x 16384; write a .tif"),
        (
            "a.jpg",
            (65501, 5),
            "JPEG pictures are at most 65500 pixels a side, got 65501 x 5; write a .tif",
        ),
        ("a.gif", (65536, 5), "GIF pictures are at most 65535 pixels a side"),
        ("a.tif", (40_000, 40_000), "do not fit into a TIFF file (4 GiB); write a .png"),
        ("a.bmp", (40_000, 40_000), "do not fit into a BMP file (4 GiB); write a .png"),
        ("a.png", (2**31, 1), "PNG pictures are at most 2147483647 pixels a side"),
        pytest.param("a.avif", (32769, 5), "AVIF pictures are at most 32768 pixels", marks=AVIF),
        pytest.param("a.avif", (20_000, 20_000), "at most 268,435,456 pixels", marks=AVIF),
        ("a.xyz", (1, 1), "cannot tell the format of a.xyz"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_way_out(name, size, words):
    with pytest.raises(InputError) as caught:
        check_output(Path(name), *size)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["a.webp", "a.jpg", "a.tif", "a.bmp", "a.gif", "a.png"])
def test_the_largest_that_fits(name):
    side = {"a.webp": 16383, "a.jpg": 65500, "a.gif": 65535}.get(name, 30_000)
    check_output(Path(name), side, 5)
    check_output(Path(name), 5, side)


def test_frames_and_depth():
    for name in ("a.png", "a.gif", "a.webp", "a.tif"):
        check_output(Path(name), 10, 10, frames=3)
    with pytest.raises(InputError, match=r"JPEG holds one frame, .*; write a\.webp"):
        check_output(Path("a.jpg"), 10, 10, frames=3)
    with pytest.raises(InputError, match=r"WEBP holds 8 bits, not 16; write a\.png or a\.tif"):
        check_output(Path("a.webp"), 10, 10, bits=16)
    with pytest.raises(InputError, match=r"50 x .* pixels do not fit"):
        check_output(Path("a.tif"), 10_000, 10_000, frames=50)
    with pytest.raises(InputError, match=r"write a \.png"):  # a WebP has no 16 bits
        check_output(Path("a.tif"), 10_000, 10_000, frames=50, bits=16)


def test_it_holds_what_it_lets_through(tmp_path):
    """And what it refuses is refused by the writer with the same words."""
    for name, side in (("a.webp", 16383), ("a.jpg", 65500), ("a.gif", 65535)):
        save_picture(tmp_path / name, [Frame(torch.zeros(1, 1, 2, side))])
        with pytest.raises(InputError) as early:
            check_output(tmp_path / name, side + 1, 2)
        with pytest.raises(InputError) as late:
            save_picture(tmp_path / name, [Frame(torch.zeros(1, 1, 2, side + 1))], overwrite=True)
        assert str(early.value) == str(late.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "gif"])
def test_the_estimate_is_of_the_right_order(tmp_path, suffix):
    """A smooth picture with some texture, as an upscaled photograph is."""
    y, x = np.mgrid[:300, :400]
    texture = np.random.default_rng(0).normal(0, 1, (300, 400, 3))
    waves = np.stack([x / 2, y / 2, (x + y) / 3], axis=2) + 10 * np.sin(x / 7)[..., None]
    pixels = (waves + texture).clip(0, 255).astype(np.uint8)
    path = tmp_path / f"a.{suffix}"
    save_picture(path, [from_pixels(pixels)])
    expected = estimated_bytes(path, 400, 300)
    assert expected / 4 <= path.stat().st_size <= expected * 4


def test_the_estimate_of_a_bmp_is_exact(tmp_path):
    save_picture(tmp_path / "a.bmp", [Frame(torch.zeros(1, 3, 7, 13))])
    assert estimated_bytes(tmp_path / "a.bmp", 13, 7) == (tmp_path / "a.bmp").stat().st_size


def test_every_format_has_limits_and_an_estimate():
    for suffix, kind in FORMATS.items():
        if kind != "AVIF" or features.check("avif"):
            check_output(Path(f"a{suffix}"), 100, 100)
        assert estimated_bytes(Path(f"a{suffix}"), 100, 100) > 0
