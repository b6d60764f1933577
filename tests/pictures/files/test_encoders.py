import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from swin2sr_core.errors import InputError, OutputExistsError
from swin2sr_core.pictures import open_picture
from swin2sr_core.pictures.files.encoders import FORMATS, save_picture
from swin2sr_core.pictures.files.metadata import Metadata
from swin2sr_core.pictures.frame import Frame, from_pixels, to_pixels

RNG = np.random.default_rng(0)
ALL = pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "gif"])


def smooth(channels, size=(40, 56)):
    y, x = np.mgrid[: size[0], : size[1]]
    bands = [x * 4, y * 5, (x + y) * 2, np.where((x - 28) ** 2 + (y - 20) ** 2 < 300, 255, 0)]
    chosen = {1: bands[:1], 2: [bands[0], bands[3]], 3: bands[:3], 4: bands}[channels]
    return np.dstack(chosen).clip(0, 255).astype(np.uint8)


def frame(channels=3, size=(40, 56)):
    return from_pixels(smooth(channels, size))


def read(path):
    with open_picture(path) as picture:
        (result,) = picture.frames()
    return to_pixels(result)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_lossless_formats_give_back_what_they_got(tmp_path, suffix, channels):
    pixels = RNG.integers(0, 256, (23, 31, channels)).astype(np.uint8)
    save_picture(tmp_path / f"a.{suffix}", [from_pixels(pixels)])
    expected = pixels
    if suffix == "webp" and channels < 3:  # WebP knows no grey
        expected = np.concatenate([np.repeat(pixels[..., :1], 3, axis=2), pixels[..., 1:]], axis=2)
    np.testing.assert_array_equal(read(tmp_path / f"a.{suffix}"), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_bmp_and_jpeg(tmp_path, channels):
    pixels = smooth(channels)
    save_picture(tmp_path / "a.bmp", [from_pixels(pixels)])
    np.testing.assert_array_equal(read(tmp_path / "a.bmp"), pixels)
    save_picture(tmp_path / "a.jpg", [from_pixels(pixels)])
    result = read(tmp_path / "a.jpg")
    assert result.shape == pixels.shape
    assert np.abs(result.astype(int) - pixels).mean() < 2


def test_jpeg_keeps_all_colour_samples(tmp_path):
    """Red next to blue, pixel by pixel: subsampled colour would be purple."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, 0::2, 0] = pixels[:, 1::2, 2] = 255
    save_picture(tmp_path / "a.jpg", [from_pixels(pixels)])
    assert np.abs(read(tmp_path / "a.jpg").astype(int) - pixels).mean() < 10


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_quality_counts(tmp_path, suffix):
    noisy = from_pixels(RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8))
    sizes = []
    for quality in (10, 60, None):
        path = tmp_path / f"{quality}.{suffix}"
        save_picture(path, [noisy], quality=quality)
        sizes.append(path.stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("suffix", ["jpg", "bmp"])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_where_none_can_be_is_laid_on_white(tmp_path, suffix, channels, caplog):
    pixels = np.full((16, 16, channels), 100, np.uint8)
    pixels[:8, :, -1] = 0
    with caplog.at_level(logging.WARNING):
        save_picture(tmp_path / f"a.{suffix}", [from_pixels(pixels)])
    result = read(tmp_path / f"a.{suffix}").astype(int)
    assert result.shape[2] == channels - 1
    assert np.abs(result[:7] - 255).max() <= 3
    assert np.abs(result[9:] - round(100 * 100 / 255 + 155)).max() <= 3
    assert len(caplog.records) == 1 and "laid on white" in caplog.text


@ALL
def test_every_suffix_in_any_case(tmp_path, suffix):
    save_picture(tmp_path / f"a.{suffix.upper()}", [frame()])
    with Image.open(tmp_path / f"a.{suffix.upper()}") as image:
        assert image.format == FORMATS[f".{suffix}"]
        assert image.size == (56, 40)


@ALL
@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
@pytest.mark.parametrize("channels", [1, 4])
def test_tiny_pictures(tmp_path, suffix, size, channels):
    save_picture(tmp_path / f"a.{suffix}", [frame(channels, size)])
    assert read(tmp_path / f"a.{suffix}").shape[:2] == size


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_very_wide_pictures(tmp_path, suffix):
    pixels = RNG.integers(0, 256, (4, 70_000, 3)).astype(np.uint8)
    save_picture(tmp_path / f"a.{suffix}", [from_pixels(pixels)])
    np.testing.assert_array_equal(read(tmp_path / f"a.{suffix}"), pixels)


@pytest.mark.parametrize(
    ("suffix", "width", "limit"),
    [("webp", 16384, 16383), ("jpg", 65501, 65500), ("gif", 65536, 65535)],
)
def test_too_wide_for_the_format(tmp_path, suffix, width, limit):
    wide = Frame(torch.zeros(1, 1, 1, width))
    with pytest.raises(
        InputError, match=rf"at most {limit} pixels a side, got {width} x 1; write a"
    ):
        save_picture(tmp_path / f"a.{suffix}", [wide])
    assert list(tmp_path.iterdir()) == []
    save_picture(tmp_path / f"a.{suffix}", [Frame(torch.zeros(1, 1, 1, limit))])
    assert read(tmp_path / f"a.{suffix}").shape[1] == limit


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (
            "a.xyz",
            {},
            "cannot tell the format of a.xyz; end its name with one of .png, .apng, .jpg",
        ),
        ("a", {}, "cannot tell the format"),
        ("a.jpg", {"bits": 16}, "JPEG holds 8 bits, not 16; write a.png or a.tif"),
        ("a.webp", {"bits": 16}, "WEBP holds 8 bits, not 16"),
        ("a.png", {"bits": 12}, "bits must be 8 or 16, got 12"),
        ("a.jpg", {"quality": 101}, "quality must be 0 to 100, got 101"),
        ("no/a.png", {}, "does not exist; create it first"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path, name, options, words):
    def frames():
        raise AssertionError("must be told before any work")
        yield frame()

    with pytest.raises(InputError) as caught:
        save_picture(tmp_path / name, frames(), **options)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_told_before_any_work(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")

    def frames():
        raise AssertionError("must not be asked")
        yield frame()

    with pytest.raises(OutputExistsError):
        save_picture(tmp_path / "a.png", frames())
    assert (tmp_path / "a.png").read_bytes() == b"old"
    save_picture(tmp_path / "a.png", [frame()], overwrite=True)
    assert read(tmp_path / "a.png").shape == (40, 56, 3)


def test_no_frames(tmp_path):
    with pytest.raises(InputError, match=r"a\.png was not written: there are no frames"):
        save_picture(tmp_path / "a.png", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("suffix", ["png", "gif", "webp"])
def test_an_upscale_that_fails_in_the_middle_leaves_nothing(tmp_path, suffix, error):
    def frames():
        yield frame()
        raise error("in the second frame")

    metadata = Metadata(durations=(50, 50))
    with pytest.raises(error, match="in the second frame"):
        save_picture(tmp_path / f"a.{suffix}", frames(), metadata)
    assert list(tmp_path.iterdir()) == []


def test_upscaling_a_file_onto_itself(tmp_path):
    path = tmp_path / "a.png"
    save_picture(path, [frame()])
    with open_picture(path) as picture:
        flipped = (Frame(f.color.flip(3)) for f in picture.frames())
        save_picture(path, flipped, picture.metadata, overwrite=True)
    np.testing.assert_array_equal(read(path), smooth(3)[:, ::-1])


@ALL
def test_a_full_disk(tmp_path, suffix):
    """Every encoder tells a full disk as such, whoever does the writing inside."""
    if sys.platform != "linux":
        pytest.skip("mounting a small disk needs root on Linux")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root on Linux")
    try:
        noise = from_pixels(RNG.integers(0, 256, (400, 400, 3)).astype(np.uint8))
        with pytest.raises(InputError, match=r"the disk is full: .* free some space"):
            save_picture(disk / f"a.{suffix}", [noise])
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
