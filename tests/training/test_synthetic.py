"""Drawn pictures: the same for the same number, and of the kinds that photographs lack."""

import numpy as np
import pytest

from training.synthetic import drawn_picture


@pytest.mark.parametrize("number", range(4))
def test_a_number_is_a_picture(number):
    picture = drawn_picture(3, number, 96)
    assert (picture.shape, picture.dtype) == ((96, 96, 3), np.uint8)
    assert np.array_equal(picture, drawn_picture(3, number, 96))
    assert not np.array_equal(picture, drawn_picture(4, number, 96))
    assert not np.array_equal(picture, drawn_picture(3, number + 4, 96))


def test_text_lines_and_comics_have_edges_and_gradients_none():
    steps = [
        np.abs(np.diff(drawn_picture(0, number, 256).astype(int), axis=1)).max()
        for number in range(4)
    ]
    text, lines, gradient, comic = steps
    assert min(text, lines, comic) > 60
    assert gradient < 30
