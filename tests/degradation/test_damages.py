"""Each damage: its size and place stay, its amount counts, and it is what its name says."""

import numpy as np
import pytest

from swin2sr_headless.degradation.damages import (
    DAMAGES,
    chroma_noise,
    compressed,
    convolved,
    disk_kernel,
    gaussian_kernel,
    gif,
    halo,
    jpeg,
    noise,
    palette,
    shot_noise,
)
from swin2sr_headless.degradation.drawn import drawn_picture

LITTLE_AND_MUCH = {
    "blur": (0.3, 1.5),
    "motion_blur": (0.4, 2.0),
    "lens_blur": (0.8, 2.0),
    "halo": (0.1, 1.5),
    "resampling": (0.9, 0.4),
    "noise": (1, 10),
    "shot_noise": (1, 10),
    "chroma_noise": (1, 10),
    "jpeg": (95, 30),
    "whole_jpeg": (95, 30),
    "webp": (95, 20),
    "palette": (128, 8),
    "gif": (128, 8),
}
FLAT_STAYS = {"blur", "motion_blur", "lens_blur", "halo", "resampling", "palette", "gif"}


@pytest.fixture(scope="module")
def picture():
    return np.ascontiguousarray(drawn_picture(0, 3, 96)[:72])


def error(a, b):
    return float(np.square(a.astype(float) - b).mean())


def luma(pixels):
    return pixels.astype(float) @ [0.299, 0.587, 0.114]


@pytest.mark.parametrize("name", DAMAGES)
def test_more_of_it_is_worse_and_the_picture_stays_in_its_place(name, picture):
    damage, (little, much) = DAMAGES[name], LITTLE_AND_MUCH[name]
    low, high = (damage(picture, each, np.random.default_rng(1)) for each in (little, much))
    assert low.shape == high.shape == picture.shape
    assert low.dtype == np.uint8
    assert 0 < error(low, picture) < error(high, picture)
    for axis in (0, 1):
        moved = [error(np.roll(high, by, axis), picture) for by in (-1, 0, 1)]
        assert moved[1] == min(moved)


@pytest.mark.parametrize("name", DAMAGES)
def test_the_same_chance_does_the_same(name, picture):
    amount = LITTLE_AND_MUCH[name][1]
    first, again = (DAMAGES[name](picture, amount, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("name", sorted(FLAT_STAYS))
def test_what_is_flat_stays(name):
    flat = np.full((20, 24, 3), (200, 0, 255), np.uint8)
    assert np.array_equal(DAMAGES[name](flat, LITTLE_AND_MUCH[name][1], rng()), flat)


def rng():
    return np.random.default_rng(0)


def test_noise_has_the_level_that_was_asked_for():
    grey = np.full((96, 96, 3), 128, np.uint8)
    for damage in (noise, shot_noise):
        assert np.std(damage(grey, 5.0, rng()).astype(float)) == pytest.approx(5.0, rel=0.1)
    dark = np.full_like(grey, 32)
    assert np.std(shot_noise(dark, 5.0, rng()).astype(float)) == pytest.approx(2.5, rel=0.1)


def test_chroma_noise_leaves_the_brightness():
    grey = np.full((96, 96, 3), 128, np.uint8)
    noisy = chroma_noise(grey, 8.0, rng())
    assert np.std(luma(noisy)) < 0.5
    assert np.std(noisy[..., 0].astype(float)) > 5


def test_a_halo_overshoots():
    edge = np.repeat(np.array([60, 180], np.uint8), 12)[None, :, None].repeat(10, 0).repeat(3, 2)
    sharp = halo(edge, 1.0, rng())
    assert sharp.min() < 50
    assert sharp.max() > 190


def test_palettes_have_so_many_colors_and_gif_scatters_them(picture):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    banded, dithered = palette(ramp, 4, rng()), gif(ramp, 4, rng())
    for each in (banded, dithered):
        assert len(np.unique(each.reshape(-1, 3), axis=0)) <= 4
    # within a column of the ramp, bands are one colour
    assert np.ptp(banded.astype(int), axis=0).max() == 0
    assert np.ptp(dithered.astype(int), axis=0).max() > 20


def test_the_grid_of_jpeg_lies_anywhere():
    """A step inside of a block disturbs that block alone: which columns differ tells the grid."""
    flat = np.full((32, 64, 3), 128, np.uint8)  # which JPEG keeps at any quality
    flat[:, 30:] = 160
    starts = set()
    for seed in range(12):
        out = jpeg(flat, 20, np.random.default_rng(seed)).astype(int)
        starts.add(int(np.argmax((out != flat).any((0, 2)))))
    assert len(starts) > 3
    assert error(compressed(flat, 90, 0), flat) < error(compressed(flat, 20, 0), flat)


def test_kernels_are_means():
    for kernel in (gaussian_kernel(0.7, 0.7, 0), gaussian_kernel(2, 0.5, 0.6), disk_kernel(1.3)):
        assert kernel.sum() == pytest.approx(1, abs=1e-6)
        assert np.allclose(kernel, kernel[::-1, ::-1])
    y, x = np.mgrid[-9:10, -9:10]
    wide = gaussian_kernel(3, 3, 0)
    assert (wide * x**2).sum() == pytest.approx(9, rel=0.05)
    oblong = gaussian_kernel(2, 1, np.pi / 2)
    y, x = np.mgrid[-6:7, -6:7]
    assert (oblong * y**2).sum() == pytest.approx(4, rel=0.05)
    assert (oblong * x**2).sum() == pytest.approx(1, rel=0.05)


def test_convolution_is_its_sum():
    pixels = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    found = convolved(pixels, disk_kernel(1.0))
    kernel = disk_kernel(1.0)
    reach = kernel.shape[0] // 2
    padded = np.pad(pixels.astype(float), ((reach, reach), (reach, reach), (0, 0)), "edge")
    side = kernel.shape[0]
    expected = (padded[2 : 2 + side, 1 : 1 + side] * kernel[..., None]).sum((0, 1))
    assert found[2, 1] == pytest.approx(expected, rel=1e-4)
