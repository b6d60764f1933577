"""Drawn pictures: the same for the same number, and of the kinds that photographs lack."""

import numpy as np
import pytest

from swin2sr_headless.degradation.drawn import drawn_picture, plain_color

KINDS = 5


@pytest.mark.parametrize("number", range(KINDS))
def test_a_number_is_a_picture(number):
    picture = drawn_picture(3, number, 96)
    assert (picture.shape, picture.dtype) == ((96, 96, 3), np.uint8)
    assert np.array_equal(picture, drawn_picture(3, number, 96))
    assert not np.array_equal(picture, drawn_picture(4, number, 96))
    assert not np.array_equal(picture, drawn_picture(3, number + KINDS, 96))


def test_all_but_ramps_have_edges():
    steps = [
        np.abs(np.diff(drawn_picture(0, number, 256).astype(int), axis=1)).max()
        for number in range(KINDS)
    ]
    text, lines, ramp, comic, patches = steps
    assert min(text, lines, comic, patches) > 60
    assert ramp < 30


def test_patches_are_flat():
    """More than half of the neighbours are equal, to the bit."""
    patches = drawn_picture(0, 4, 256).astype(int)
    assert (np.diff(patches, axis=1) == 0).mean() > 0.5


def test_plain_colors_have_all_corners_of_the_cube():
    rng = np.random.default_rng(0)
    found = {plain_color(rng) for _ in range(400)}
    corners = {each for each in found if set(each) <= {0, 255}}
    assert len(corners) == 8
    assert len(found) > 50
