import logging
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import IFDRational

from swin2sr_core.pictures import open_picture, save_picture
from swin2sr_core.pictures.files.exif import GPS_IFD, ORIENTATION, PHOTO_IFD
from swin2sr_core.pictures.files.metadata import Metadata, profile_fits
from swin2sr_core.pictures.frame import Frame, from_pixels, to_pixels


def profile(space):
    return (b"\0" * 16 + space).ljust(300, b"\1")


def camera_exif(orientation=None, **tags):
    exif = Image.Exif()
    exif[0x010F] = "A Maker"
    exif[0x8298] = "(c) Somebody"
    exif[PHOTO_IFD] = {0x9003: "2020:02:03 04:05:06", 0xA002: 640, 0xA003: 480, 0x829A: 0.01}
    exif[GPS_IFD] = {1: "N", 2: (52.0, 31.0, 12.0)}
    if orientation:
        exif[ORIENTATION] = orientation
    return exif


def as_pillow_reads(block):
    exif = Image.Exif()
    exif.load(block)
    return exif


def block_of(exif):
    return exif.tobytes().removeprefix(b"Exif\0\0")


def blocks():
    """A picture that looks different in each of the eight orientations, smooth enough for JPEG."""
    quarter = np.kron(np.array([[40, 90, 140], [190, 240, 10]]), np.ones((16, 16)))
    return np.dstack([quarter, quarter[:, ::-1], 255 - quarter]).astype(np.uint8)


def metadata_of(path):
    with open_picture(path) as picture:
        return picture.metadata


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    exif = camera_exif(orientation)
    options: dict[str, Any] = (
        {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0}
    )
    Image.fromarray(blocks()).save(
        path, exif=exif.tobytes(), **({} if suffix in ("png", "tif") else options)
    )
    upright = Image.fromarray(blocks())
    upright.info["exif"] = exif.tobytes()
    expected = np.asarray(ImageOps.exif_transpose(upright)).astype(int)

    with open_picture(path) as picture:
        (frame,) = picture.frames()

    assert picture.size == frame.size == (expected.shape[1], expected.shape[0])
    assert np.abs(to_pixels(frame) - expected).max() <= (6 if suffix == "jpg" else 0)
    carried = as_pillow_reads(picture.metadata.exif)
    assert ORIENTATION not in carried and carried[0x010F] == "A Maker"


def test_orientation_of_16_bits(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 2**16, (3, 5, 3)).astype(np.uint16)
    turned = Image.Exif()
    turned[ORIENTATION] = 6  # to be turned clockwise by a quarter
    for name in ("a.png", "a.tif"):
        save_picture(
            tmp_path / name, [from_pixels(pixels)], Metadata(exif=block_of(turned)), bits=16
        )
        with open_picture(tmp_path / name) as picture:
            (frame,) = picture.frames()
        assert picture.size == (3, 5)
        np.testing.assert_array_equal(to_pixels(frame, 16), np.rot90(pixels, -1))


@pytest.mark.parametrize("source", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("target", ["png", "jpg", "webp", "tif"])
def test_exif_profile_and_resolution_survive(tmp_path, source, target):
    path = tmp_path / f"a.{source}"
    exif = camera_exif(3)
    exif[0x011A], exif[0x011B], exif[0x0128] = 300.0, 150.0, 2
    carried = {"exif": exif.tobytes(), "icc_profile": profile(b"RGB "), "dpi": (300, 150)}
    Image.fromarray(blocks()).save(path, **carried)
    first = metadata_of(path)
    save_picture(tmp_path / f"b.{target}", [Frame(torch.rand(1, 3, 8, 8))], first)

    metadata = metadata_of(tmp_path / f"b.{target}")

    assert metadata.icc_profile == profile(b"RGB ")
    assert metadata.dpi == pytest.approx((300, 150), abs=0.02)
    carried = as_pillow_reads(metadata.exif)
    assert carried[0x010F] == "A Maker" and carried[0x8298] == "(c) Somebody"
    photo = carried.get_ifd(PHOTO_IFD)
    assert photo[0x9003] == "2020:02:03 04:05:06" and float(photo[0x829A]) == pytest.approx(0.01)
    assert 0xA002 not in photo and 0xA003 not in photo  # they were the old size
    assert carried.get_ifd(GPS_IFD)[1] == "N"
    with Image.open(tmp_path / f"b.{target}") as image:
        assert image.getexif().get(ORIENTATION, 1) == 1
        assert image.info["icc_profile"] == profile(b"RGB ")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
def test_the_resolution_alone(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    save_picture(path, [Frame(torch.rand(1, 3, 8, 8))], Metadata(dpi=(300, 150)))
    assert metadata_of(path).dpi == pytest.approx((300, 150), abs=0.02)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif"])
def test_nothing_is_invented(tmp_path, suffix):
    Image.fromarray(blocks()).save(tmp_path / f"a.{suffix}")
    assert metadata_of(tmp_path / f"a.{suffix}") == Metadata()
    with open_picture(tmp_path / f"a.{suffix}") as picture:
        save_picture(tmp_path / f"b.{suffix}", picture.frames(), picture.metadata)
    assert metadata_of(tmp_path / f"b.{suffix}") == Metadata()


def test_a_strip_layout_is_not_carried_from_tiff(tmp_path):
    Image.fromarray(blocks()).save(tmp_path / "a.tif", tiffinfo={0x010E: "a picture"})
    carried = as_pillow_reads(metadata_of(tmp_path / "a.tif").exif)
    assert dict(carried) == {0x010E: "a picture"}


def test_resolution_per_centimetre(tmp_path):
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = IFDRational(100), IFDRational(50), 3
    Image.fromarray(blocks()).save(tmp_path / "a.webp", exif=exif)
    assert metadata_of(tmp_path / "a.webp").dpi == pytest.approx((254, 127))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("space", [b"GRAY", b"RGB ", b"CMYK"])
def test_a_profile_of_another_colour_space_is_dropped(tmp_path, mode, space):
    image = Image.new(mode, (4, 4))
    image.save(tmp_path / "a.jpg", icc_profile=profile(space))
    fits = (mode, space) in [("L", b"GRAY"), ("RGB", b"RGB ")]
    assert metadata_of(tmp_path / "a.jpg").icc_profile == (profile(space) if fits else None)


def test_a_profile_for_other_frames_is_not_written(tmp_path):
    metadata = Metadata(icc_profile=profile(b"RGB "))
    save_picture(tmp_path / "a.png", [Frame(torch.rand(1, 1, 4, 4))], metadata)
    with Image.open(tmp_path / "a.png") as image:
        assert "icc_profile" not in image.info
    assert not profile_fits(b"short", 3) and not profile_fits(None, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_damaged_exif_is_told_and_passed_over(tmp_path, suffix, caplog):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(blocks()).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f garbage")
    with caplog.at_level(logging.WARNING), open_picture(path) as picture:
        (frame,) = picture.frames()
    assert picture.metadata.exif is None
    assert frame.size == (48, 32)


def test_exif_too_long_for_a_jpeg(tmp_path, caplog):
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    metadata = Metadata(exif=block_of(exif))
    with caplog.at_level(logging.WARNING):
        save_picture(tmp_path / "a.jpg", [Frame(torch.rand(1, 3, 4, 4))], metadata)
    assert "too long for a JPEG" in caplog.text
    save_picture(tmp_path / "a.png", [Frame(torch.rand(1, 3, 4, 4))], metadata)
    assert as_pillow_reads(metadata_of(tmp_path / "a.png").exif)[0x010E] == "x" * 70_000
