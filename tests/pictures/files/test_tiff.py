import logging

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from swin2sr_core.errors import InputError
from swin2sr_core.pictures import open_picture, save_picture
from swin2sr_core.pictures.files import tiff
from swin2sr_core.pictures.frame import from_pixels, to_pixels

RNG = np.random.default_rng(0)
ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def independent_tiff(path, samples, *, photometric, extra=None, sample_format=None, bits=None):
    """An uncompressed TIFF in one strip, built without the code under test.

    samples: H x W x C; their byte order is the file's. bits: if they are packed otherwise.
    """
    height, width, channels = samples.shape
    mark = b"MM\0*" if samples.dtype.byteorder == ">" else b"II*\0"
    directory = ImageFileDirectory_v2(mark + b"\0\0\0\0")
    data = samples.tobytes() if bits is None else packed(samples, bits)
    values = {256: width, 257: height, 258: (bits or samples.itemsize * 8,) * channels, 259: 1}
    values |= {262: photometric, 273: 0, 277: channels, 278: height, 279: len(data)}
    values |= {} if extra is None else {338: extra}
    values |= {} if sample_format is None else {339: sample_format}
    for tag, value in values.items():
        directory[tag] = value
    with path.open("wb") as file:
        directory.save(file)
        file.write(data)


def packed(samples, bits):
    flags = (samples.reshape(samples.shape[0], -1, 1) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(flags.astype(np.uint8).reshape(samples.shape[0], -1), axis=1).tobytes()


def read(path):
    with open_picture(path) as picture:
        (frame,) = picture.frames()
        return to_pixels(frame, 16), picture.metadata


def random_samples(channels, order, bits=16):
    return RNG.integers(0, 2**bits, (4, 6, channels)).astype(f"{order}u2")


@ORDERS
@pytest.mark.parametrize(("channels", "extra"), [(1, None), (3, None), (4, 2), (4, 0)])
def test_all_16_bits_are_read(tmp_path, order, channels, extra):
    samples = random_samples(channels, order)
    independent_tiff(
        tmp_path / "a.tif", samples, photometric=1 if channels == 1 else 2, extra=extra
    )
    result, metadata = read(tmp_path / "a.tif")
    kept = 3 if extra == 0 else channels  # 0: the fourth is not alpha
    np.testing.assert_array_equal(result, samples[..., :kept])
    assert metadata.bits == 16


@ORDERS
def test_premultiplied_colours_become_straight(tmp_path, order):
    straight = random_samples(4, "<")
    straight[..., 3] |= 0x4000
    straight[0, 0, 3] = 0
    alpha = straight[..., 3:].astype(np.int64)
    samples = np.concatenate([straight[..., :3] * alpha // 65535, alpha], axis=2)
    independent_tiff(tmp_path / "a.tif", samples.astype(f"{order}u2"), photometric=2, extra=1)
    result, _ = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(result[..., 3], straight[..., 3])
    visible = straight[..., 3] > 0
    difference = result.astype(int) - straight
    assert abs(difference[visible]).max() <= 4  # 65535 / the least alpha
    assert not result[0, 0, :3].any()


@ORDERS
def test_planes_stored_one_after_the_other(tmp_path, order):
    samples = random_samples(3, order)
    planes = np.ascontiguousarray(samples.transpose(2, 0, 1))
    path = tmp_path / "a.tif"
    # as one tall grey picture first: the data is the same, the directory is not
    independent_tiff(path, planes.reshape(12, 6, 1), photometric=1)
    start = path.read_bytes().index(planes.tobytes())
    endian = "little" if order == "<" else "big"

    def entry(tag, kind, *values):
        size = {3: 2, 4: 4}[kind]
        data = b"".join(value.to_bytes(size, endian) for value in values).ljust(4, b"\0")
        head = (tag.to_bytes(2, endian), kind.to_bytes(2, endian), len(values).to_bytes(4, endian))
        return b"".join(head), data

    entries = [entry(256, 4, 6), entry(257, 4, 4), entry(258, 3, 16, 16, 16), entry(259, 3, 1)]
    entries += [entry(262, 3, 2), entry(273, 4, *(start + 48 * i for i in range(3)))]
    entries += [entry(277, 3, 3), entry(278, 4, 4), entry(279, 4, 48, 48, 48), entry(284, 3, 2)]
    at = len(path.read_bytes())
    tail = at + 2 + 12 * len(entries) + 4
    directory, aside = len(entries).to_bytes(2, endian), b""
    for head, data in entries:
        directory += head
        if len(data) == 4:
            directory += data
        else:
            directory += (tail + len(aside)).to_bytes(4, endian)
            aside += data
    content = bytearray(path.read_bytes() + directory + b"\0\0\0\0" + aside)
    content[4:8] = at.to_bytes(4, endian)
    path.write_bytes(content)

    result, metadata = read(path)

    np.testing.assert_array_equal(result, samples)
    assert metadata.bits == 16


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_there_and_back(tmp_path, channels, bits):
    pixels = RNG.integers(0, 2**bits, (37, 19, channels)).astype(f"u{bits // 8}")
    save_picture(tmp_path / "a.tif", [from_pixels(pixels)], bits=bits)
    with open_picture(tmp_path / "a.tif") as picture:
        (frame,) = picture.frames()
    np.testing.assert_array_equal(to_pixels(frame, bits), pixels)
    assert picture.metadata.bits == bits


def test_several_strips(tmp_path):
    pixels = RNG.integers(0, 2**16, (700, 801, 3)).astype(np.uint16)
    save_picture(tmp_path / "a.tif", [from_pixels(pixels)], bits=16)
    with Image.open(tmp_path / "a.tif") as image:
        assert len(image.tag_v2[273]) > 3
        assert sum(image.tag_v2[279]) < (tmp_path / "a.tif").stat().st_size
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pillow_reads_what_is_written_in_8_bits(tmp_path, channels):
    pixels = RNG.integers(0, 256, (37, 19, channels)).astype(np.uint8)
    save_picture(tmp_path / "a.tif", [from_pixels(pixels)])
    with Image.open(tmp_path / "a.tif") as image:
        assert image.mode == ["L", "LA", "RGB", "RGBA"][channels - 1]
        np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)


def test_grey_with_alpha_of_16_bits_is_written_as_colour(tmp_path):
    pixels = RNG.integers(0, 2**16, (5, 4, 2)).astype(np.uint16)
    save_picture(tmp_path / "a.tif", [from_pixels(pixels)], bits=16)
    result, _ = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(result, pixels[..., [0, 0, 0, 1]])


def test_white_as_zero(tmp_path):
    samples = random_samples(1, "<")
    independent_tiff(tmp_path / "a.tif", samples, photometric=0)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], 65535 - samples)


def test_12_bits(tmp_path):
    samples = random_samples(1, "<", bits=12)
    independent_tiff(tmp_path / "a.tif", samples, photometric=1, bits=12)
    result, metadata = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(result, np.rint(samples * (65535 / 4095)))
    assert metadata.bits == 16


@ORDERS
@pytest.mark.parametrize(("white", "most"), [(1, 0.9), (255, 200.5), (65535, 60000), (1e6, 1e6)])
def test_floats(tmp_path, order, white, most):
    values = np.linspace(-0.1 * most, most, 24).reshape(4, 6, 1)
    independent_tiff(
        tmp_path / "a.tif", values.astype(f"{order}f4"), photometric=1, sample_format=3
    )
    result, metadata = read(tmp_path / "a.tif")
    assert metadata.bits == 16
    np.testing.assert_allclose(result / 65535, values.clip(0) / white, atol=1e-5)


def test_undefined_floats_are_black(tmp_path):
    values = np.array([np.nan, np.inf, -np.inf, 1.0]).reshape(1, 4, 1).astype("<f4")
    independent_tiff(tmp_path / "a.tif", values, photometric=1, sample_format=3)
    assert read(tmp_path / "a.tif")[0].ravel().tolist() == [0, 0, 0, 65535]


@ORDERS
def test_integers_of_32_bits(tmp_path, order):
    values = RNG.integers(0, 65536, (4, 6, 1)).astype(f"{order}i4")
    independent_tiff(tmp_path / "a.tif", values, photometric=1, sample_format=2)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], values)
    huge = values * 32000
    independent_tiff(tmp_path / "a.tif", huge, photometric=1, sample_format=2)
    np.testing.assert_allclose(read(tmp_path / "a.tif")[0], huge / huge.max() * 65535, atol=1)


def test_16_bit_cmyk_is_read_in_8_and_says_so(tmp_path, caplog):
    samples = random_samples(4, "<")
    independent_tiff(tmp_path / "a.tif", samples, photometric=5)
    with caplog.at_level(logging.WARNING):
        result, metadata = read(tmp_path / "a.tif")
    assert result.shape == (4, 6, 3) and metadata.bits == 8
    assert len(caplog.records) == 1 and "only 8 are read" in caplog.text


def test_the_first_of_several_pages(tmp_path, caplog):
    pages = [Image.new("L", (4, 4), value) for value in (10, 20)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with caplog.at_level(logging.WARNING), open_picture(tmp_path / "a.tif") as picture:
        (frame,) = picture.frames()
    assert picture.frame_count == 1
    assert to_pixels(frame).max() == 10
    assert "2 pages; only the first" in caplog.text


def test_a_file_beyond_its_offsets_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    """4 GiB are where offsets of 32 bits end; here the end comes sooner."""
    monkeypatch.setattr(tiff, "_MAX_BYTES", 10_000)
    frame = from_pixels(RNG.integers(0, 256, (64, 64, 3), np.uint8))
    with pytest.raises(InputError, match="do not fit into a TIFF file"):
        save_picture(tmp_path / "x.tif", iter([frame]))
    assert not list(tmp_path.iterdir())
