"""HEIC and JPEG XL, where the packages are installed that teach Pillow to read them."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from swin2sr_core.pictures import open_picture
from swin2sr_core.pictures.files import readable
from swin2sr_core.pictures.files.exif import parse_exif
from swin2sr_core.pictures.frame import to_pixels


def gradient():
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 4, y * 5, 255 - x * 2], axis=2).astype(np.uint8)


def written(path, **options):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A Maker", 1
    Image.fromarray(gradient()).save(path, exif=exif.tobytes(), **options)
    return path


@pytest.mark.parametrize(
    ("module", "suffix", "options"),
    [
        ("pillow_heif", "heic", {"quality": 95}),
        ("pillow_jxl", "jxl", {"lossless": True}),
    ],
)
def test_a_plug_ins_format_is_read(tmp_path, module, suffix, options):
    plug_in = pytest.importorskip(module, reason=f"needs {module}")
    if module == "pillow_heif":
        plug_in.register_heif_opener()
    path = written(tmp_path / f"a.{suffix}", **options)
    with open_picture(path) as picture:
        (frame,) = picture.frames()
        assert picture.size == (64, 48) and picture.format in ("HEIF", "JXL")
        assert parse_exif(picture.metadata.exif).main[0x010F].data.startswith(b"A Maker")
    assert np.abs(to_pixels(frame).astype(int) - gradient()).mean() < 2
    assert f".{suffix}" in readable.suffixes()


@pytest.mark.parametrize(
    ("head", "package"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "pillow-heif"),
        (b"\xff\x0a\x01\x02", "pillow-jxl-plugin"),
    ],
)
def test_a_missing_plug_in_is_named(tmp_path, head, package):
    """In a process of its own, in which neither has been loaded nor can be."""
    (tmp_path / "a.heic").write_bytes(head + bytes(64))
    code = (
        "import sys; sys.modules |= dict.fromkeys(('pillow_heif', 'pillow_jxl'))\n"
        "from swin2sr_core.pictures import open_picture\n"
        "with open_picture(sys.argv[1]): pass"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.heic")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"pip install {package}" in done.stderr.splitlines()[-1]
