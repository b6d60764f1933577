"""Which JPEGs are strongly compressed, by their tables; the sentence about the better model."""

import numpy as np
import pytest
from PIL import Image

from swin2sr_headless.cli.compressed import better_model, jpeg_quality


@pytest.fixture
def jpeg(tmp_path):
    """(quality, mode) -> the path of a small JPEG."""

    def make(quality, mode="RGB"):
        pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
        path = tmp_path / f"{mode}_{quality}.jpg"
        Image.fromarray(pixels).convert(mode).save(path, quality=quality)
        return path

    return make


@pytest.mark.parametrize("quality", [1, 10, 37, 50, 74, 75, 90, 99, 100])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_quality_is_that_of_the_encoder(quality, mode, jpeg):
    assert jpeg_quality(jpeg(quality, mode)) == quality


def test_what_is_no_jpeg_has_no_quality(tmp_path, jpeg):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "torn.jpg").write_bytes(jpeg(40).read_bytes()[:40])
    for name in ("a.png", "empty.jpg", "torn.jpg", "missing.jpg"):
        assert jpeg_quality(tmp_path / name) is None


def test_it_is_said_once_and_of_compact_x4_alone(jpeg, tmp_path):
    pictures = [jpeg(90), jpeg(40), jpeg(30)]
    (said,) = better_model("compact-x4", pictures)
    assert said.startswith("RGB_40.jpg is strongly compressed (JPEG of about quality 40)")
    assert "--model compact-real-x4" in said
    assert better_model("compact-x4", [jpeg(90), jpeg(75)]) == []
    assert better_model("compact-real-x4", pictures) == []


def test_upscale_says_it_and_goes_on(jpeg, capsys, tmp_path):
    """In the report too; what is enlarged, and by which model, stays as it was."""
    from swin2sr_headless.cli.main import main

    out = tmp_path / "out"
    pictures = [str(jpeg(40)), str(jpeg(30))]
    assert main(["upscale", *pictures, "-o", str(out), "--json", "--device=cpu"]) == 0
    told = capsys.readouterr()
    assert told.out.count("compact-real-x4 suits such pictures better") == 1
    assert len(list(out.iterdir())) == 2
    again = ["upscale", pictures[0], "-o", str(tmp_path / "b.png"), "--model=compact-real-x4"]
    assert main([*again, "--device=cpu"]) == 0
    assert "suits" not in capsys.readouterr().err


def test_the_better_model_is_there():
    from swin2sr_core.models.catalog import find_entry

    assert find_entry("compact-real-x4").bundled
