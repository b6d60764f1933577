"""Real weights on real pictures: the papers' figures, and bf16 beside fp32."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

import swin2sr_core as s2

FORMATS = ("Swin2SR_Lightweight_X2_64.safetensors", "swin2sr_lightweight_x2_64.transformers.bin")


@pytest.fixture(scope="module")
def pictures(data_folder):
    def read(name):
        pixels = np.array(Image.open(data_folder / "set5" / name).convert("RGB"))
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255

    return read


def psnr_y(image, reference, border):
    luma = torch.tensor((65.481, 128.553, 24.966)).view(1, 3, 1, 1)
    rounded = (image[..., : reference.shape[-2], : reference.shape[-1]] * 255).round() / 255
    difference = ((rounded - reference) * luma).sum(1)[..., border:-border, border:-border]
    return 10 * math.log10(255**2 / float(difference.double().square().mean()))


@pytest.mark.parametrize("name", FORMATS)
def test_the_official_lightweight_reaches_its_figure_on_butterfly(name, data_folder, pictures):
    model = s2.load_model(data_folder / "weights" / name, "fp32")
    output = s2.upscale(model, pictures("LR_x2/butterflyx2.png"), 2).image
    assert psnr_y(output, pictures("HR/butterfly.png"), 2) == pytest.approx(35.77, abs=0.01)


def test_two_passes_make_x4(data_folder, pictures):
    model = s2.load_model(data_folder / "weights" / FORMATS[0], "fp32")
    output = s2.upscale(model, pictures("LR_x4/womanx4.png"), 4).image
    assert psnr_y(output, pictures("HR/woman.png"), 4) == pytest.approx(30.91, abs=0.01)


def test_the_bundled_model_reaches_its_card(pictures):
    output = s2.upscale(s2.load_model(precision="fp32"), pictures("LR_x4/birdx4.png")).image
    assert psnr_y(output, pictures("HR/bird.png"), 4) == pytest.approx(33.48, abs=0.01)


def test_bf16_is_close_to_fp32(pictures):
    image = pictures("LR_x4/butterflyx4.png")
    exact = s2.upscale(s2.load_model(precision="fp32"), image).image
    narrow = s2.upscale(s2.load_model(precision="bf16"), image).image
    assert float((exact - narrow).square().mean()) < 10**-6.0
