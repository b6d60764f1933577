import os
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.nn.functional as F
from PIL import Image

from swin2sr_core.errors import InputError
from swin2sr_core.pictures import (
    MAX_PIXELS,
    Frame,
    open_picture,
    save_picture,
    to_pixels,
    upscale_frame,
)

DATA = Path(os.environ.get("SWIN2SR_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
RNG = np.random.default_rng(0)
SUFFIXES = ["png", "jpg", "webp", "tif", "bmp", "gif"]
ALL = pytest.mark.parametrize("suffix", SUFFIXES)


def noise(height=30, width=40, channels=3):
    return RNG.integers(0, 256, (height, width, channels)).astype(np.uint8).squeeze()


def read(path, **options):
    with open_picture(path, **options) as picture:
        return [to_pixels(frame) for frame in picture.frames()]


def said(path, **options):
    with pytest.raises(InputError) as caught:
        read(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "bmp"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (10, 40_000), (40_000, 10)])
def test_tiny_and_long_pictures(tmp_path, suffix, size):
    if suffix == "webp" and max(size) > 16383:
        pytest.skip("no WebP is that long")
    pixels = RNG.integers(0, 256, (*size, 3)).astype(np.uint8)
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", **options)
    with open_picture(tmp_path / f"a.{suffix}") as picture:
        (frame,) = picture.frames()
    assert picture.size == frame.size == size[::-1]
    np.testing.assert_array_equal(to_pixels(frame), pixels)


@ALL
def test_what_a_picture_tells(tmp_path, suffix):
    Image.fromarray(noise()).save(tmp_path / f"a.{suffix}")
    with open_picture(str(tmp_path / f"a.{suffix}")) as picture:
        assert picture.path == tmp_path / f"a.{suffix}"
        assert picture.size == (40, 30)
        assert picture.frame_count == 1
        assert picture.metadata.bits == 8 and picture.metadata.durations == ()
        (frame,) = picture.frames()
        assert frame.color.shape == (1, 3, 30, 40) and frame.alpha is None
        (again,) = picture.frames()
        assert bool((frame.color == again.color).all())


def test_the_content_tells_the_format_not_the_name(tmp_path):
    Image.fromarray(noise()).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert read(tmp_path / "a.jpg")[0].shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("name", "mode", "channels"),
    [
        *[("a.png", mode, n) for mode, n in [("1", 1), ("L", 1), ("LA", 2), ("RGB", 3)]],
        *[("a.png", mode, n) for mode, n in [("RGBA", 4), ("P", 3)]],
        *[("a.jpg", mode, n) for mode, n in [("L", 1), ("RGB", 3), ("CMYK", 3)]],
        *[("a.webp", mode, n) for mode, n in [("RGB", 3), ("RGBA", 4)]],
        *[("a.tif", mode, n) for mode, n in [("1", 1), ("L", 1), ("LA", 2), ("RGBA", 4)]],
        *[("a.tif", mode, n) for mode, n in [("P", 3), ("CMYK", 3), ("LAB", 3)]],
        *[("a.bmp", mode, n) for mode, n in [("1", 1), ("L", 1), ("RGB", 3), ("P", 3)]],
        *[("a.gif", mode, n) for mode, n in [("L", 1), ("P", 3)]],
    ],
)
def test_modes_of_files(tmp_path, name, mode, channels):
    image = Image.fromarray(noise(channels=4), "RGBA").convert("RGB")
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(noise(channels=1)))
    image = image.quantize(16) if mode == "P" else converted(image, mode)
    image.save(tmp_path / name)
    (pixels,) = read(tmp_path / name)
    assert pixels.shape == (30, 40, channels)
    if name == "a.png":
        plain = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
        np.testing.assert_array_equal(pixels.squeeze(), np.asarray(image.convert(plain)))


def converted(image, mode):
    if mode != "LAB":
        return image.convert(mode)
    from PIL import ImageCms

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")


def test_a_missing_file(tmp_path):
    assert "there is no file" in said(tmp_path / "a.png")


def test_a_folder(tmp_path):
    assert "is a folder, not a picture; name a file in it" in said(tmp_path)


def test_a_text_file_named_png(tmp_path):
    (tmp_path / "a.png").write_text("This is not a picture.")
    assert "is not a picture of a kind that is read here (PNG, JPEG," in said(tmp_path / "a.png")


def test_an_empty_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    assert "is not a picture" in said(tmp_path / "a.png")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root and Windows may read it")
def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "a.png").chmod(0)
    assert "cannot read" in said(tmp_path / "a.png")


@ALL
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file(tmp_path, suffix, share):
    Image.fromarray(noise(100, 100)).save(tmp_path / f"a.{suffix}")
    data = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(data[: int(len(data) * share)])
    text = said(tmp_path / f"a.{suffix}")
    assert "damaged" in text


def png_claiming(width, height):
    """The head of a PNG that claims to be this large, and little more."""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_001, 10_000), (50_000, 50_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb(tmp_path, size):
    (tmp_path / "a.png").write_bytes(png_claiming(*size))
    before = Image.MAX_IMAGE_PIXELS
    text = said(tmp_path / "a.png")
    assert f"the limit is {MAX_PIXELS:,}; make it smaller, or raise the limit" in text
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_limit_of_the_callers(tmp_path):
    Image.fromarray(noise()).save(tmp_path / "a.png")
    assert "has 40 x 30 pixels, and the limit is 1,199;" in said(
        tmp_path / "a.png", max_pixels=1199
    )
    assert read(tmp_path / "a.png", max_pixels=1200)[0].shape == (30, 40, 3)


def test_beyond_pillows_own_limit_if_asked(tmp_path, monkeypatch):
    """A small limit of Pillow's stands for its 179 million pixels."""
    Image.fromarray(noise()).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read(tmp_path / "a.png")[0].shape == (30, 40, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_gif_that_grows(tmp_path):
    """A later frame may claim to be larger than the canvas."""
    images = [Image.new("P", (8, 8), n) for n in (0, 1)]
    for image in images:
        image.putpalette([255, 0, 0, 0, 0, 255])
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=50)
    data = bytearray((tmp_path / "a.gif").read_bytes())
    second = data.rindex(struct.pack("<BHHHH", 0x2C, 0, 0, 8, 8))
    data[second + 5 : second + 9] = struct.pack("<HH", 30_000, 30_000)
    (tmp_path / "a.gif").write_bytes(data)
    text = said(tmp_path / "a.gif")
    assert "the limit is" in text
    data[second + 1 : second + 9] = struct.pack("<HHHH", 3, 2, 8, 8)
    (tmp_path / "a.gif").write_bytes(data)
    first, second = read(tmp_path / "a.gif")
    assert first.shape == second.shape == (8, 8, 3)
    assert (second[:2] == [255, 0, 0]).all() and (second[2:, 3:] == [0, 0, 255]).all()


def test_frames_are_decoded_when_asked_for(tmp_path):
    images = [Image.fromarray(noise()) for _ in range(3)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:], duration=50)
    with open_picture(tmp_path / "a.png") as picture:
        frames = picture.frames()
        np.testing.assert_array_equal(to_pixels(next(frames)), np.asarray(images[0]))
        np.testing.assert_array_equal(to_pixels(next(picture.frames())), np.asarray(images[0]))
        np.testing.assert_array_equal(to_pixels(next(frames)), np.asarray(images[1]))
    assert next(frames, None) is None  # closed with the picture


def test_several_threads_at_once(tmp_path):
    for n in range(4):
        images = [Image.fromarray(noise()) for _ in range(3)]
        images[0].save(tmp_path / f"{n}.png", save_all=True, append_images=images[1:], duration=50)
    before = Image.MAX_IMAGE_PIXELS
    alone = [read(tmp_path / f"{n}.png") for n in range(4)]
    together: list[list[np.ndarray]] = [[] for _ in range(4)]

    def work(n):
        together[n] = read(tmp_path / f"{n}.png")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(np.stack(one), np.stack(other))
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("source", ["a.gif", "a.webp", "a.png"])
@pytest.mark.parametrize("target", ["b.gif", "b.webp", "b.png"])
def test_an_animation_from_end_to_end(tmp_path, source, target):
    images = [Image.fromarray(noise(8, 10)).quantize(8).convert("RGB") for _ in range(3)]
    options: dict[str, Any] = {"lossless": True} if source == "a.webp" else {}
    images[0].save(
        tmp_path / source, save_all=True, append_images=images[1:], duration=[50, 70, 90], **options
    )

    def twice(image):
        return F.interpolate(image, scale_factor=2, mode="nearest")

    with open_picture(tmp_path / source) as picture:
        frames = (upscale_frame(frame, twice) for frame in picture.frames())
        save_picture(tmp_path / target, frames, picture.metadata)

    with open_picture(tmp_path / target) as picture:
        assert picture.metadata.durations == (50, 70, 90)
        results = [to_pixels(frame) for frame in picture.frames()]
    assert len(results) == 3
    for result, image in zip(results, images, strict=True):
        expected = np.asarray(image).repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", ["kodak_14.png", "seoul.jpg", "crowd_unsplash.webp", "comic2.png"])
def test_real_pictures_there_and_back(tmp_path, name):
    if not (DATA / "images" / name).exists():
        pytest.skip(f"no test data at {DATA}; set SWIN2SR_TEST_DATA")
    with Image.open(DATA / "images" / name) as image:
        expected = np.asarray(image)
    with open_picture(DATA / "images" / name) as picture:
        (frame,) = picture.frames()
    np.testing.assert_array_equal(to_pixels(frame), expected)
    crop = Frame(frame.color[:, :, :200, :300])
    for suffix in ("png", "webp", "tif"):
        save_picture(tmp_path / f"a.{suffix}", [crop], picture.metadata)
        np.testing.assert_array_equal(read(tmp_path / f"a.{suffix}")[0], expected[:200, :300])
