"""Reduction as papers do it, and the light chain: its amounts, its order, its chance."""

import numpy as np
import pytest
from PIL import Image

from training.config import Degradation
from training.degradation import blurred, compressed, noisy, reduced, worsened
from training.synthetic import drawn_picture

ALL = Degradation(share=1.0, blur=(0.5, 0.8), noise=(2.0, 4.0), jpeg=(50, 80))


@pytest.fixture(scope="module")
def picture():
    return drawn_picture(0, 0, 64)


def error(a, b):
    return float(np.square(a.astype(float) - b).mean())


def test_reduction_is_what_set5_was_reduced_by(data_folder):
    high = np.asarray(Image.open(data_folder / "set5/HR/baby.png").convert("RGB"))
    low = np.asarray(Image.open(data_folder / "set5/LR_x4/babyx4.png").convert("RGB"))
    assert error(reduced(high, 4), low) < 0.5  # of 255: both round to 8 bits


def test_the_same_chance_gives_the_same_picture(picture):
    a, b, c = (worsened(picture, ALL, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_nothing_to_do_leaves_the_picture(picture):
    assert np.array_equal(worsened(picture, Degradation(1.0), np.random.default_rng(0)), picture)


def test_the_order_is_random(picture):
    """Blur after noise leaves less noise than noise after blur."""
    how = Degradation(1.0, blur=(1.5, 1.5), noise=(20.0, 20.0))
    flat = np.full_like(picture, 128)
    left = [error(worsened(flat, how, np.random.default_rng(i)), flat) for i in range(12)]
    assert max(left) > 4 * min(left)


def test_each_step_does_what_it_says(picture):
    rng = np.random.default_rng(0)
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert np.std(noisy(flat, 5.0, rng).astype(float)) == pytest.approx(5.0, rel=0.1)
    assert error(compressed(picture, 90, 0), picture) < error(compressed(picture, 30, 0), picture)
    steps = [
        np.abs(np.diff(each.astype(int), axis=1)).max() for each in (picture, blurred(picture, 1))
    ]
    assert steps[1] < 0.7 * steps[0]
    assert np.array_equal(blurred(flat, 2.0), flat)
