"""Reflect padding: torch's own where torch has one, and right for every size where it has none."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from swin2sr_core.network.padding import crop, reflect_pad
from swin2sr_core.network.window_grid import round_up

SIZES = st.integers(1, 40)


@given(size=st.integers(0, 10_000), multiple=st.integers(1, 64))
def test_rounding_up_gives_the_next_multiple(size, multiple):
    rounded = round_up(size, multiple)
    assert rounded % multiple == 0
    assert size <= rounded < size + multiple


@given(height=SIZES, width=SIZES, multiple=st.integers(1, 16), channels=st.integers(1, 3))
def test_cropping_undoes_padding(height, width, multiple, channels):
    image = torch.arange(2 * channels * height * width).view(2, channels, height, width)
    padded = reflect_pad(image, multiple)
    assert padded.shape == (2, channels, round_up(height, multiple), round_up(width, multiple))
    assert torch.equal(crop(padded, height, width), image)


@given(height=SIZES, width=SIZES, multiple=st.integers(1, 16))
def test_it_is_torchs_reflection_where_torch_has_one(height, width, multiple):
    image = torch.arange(float(height * width)).view(1, 1, height, width)
    bottom, right = round_up(height, multiple) - height, round_up(width, multiple) - width
    if bottom < height and right < width:
        expected = F.pad(image, (0, right, 0, bottom), mode="reflect")
        assert torch.equal(reflect_pad(image, multiple), expected)


@pytest.mark.parametrize(
    ("row", "multiple", "expected"),
    [
        ([5], 4, [5, 5, 5, 5]),
        ([1, 2], 8, [1, 2, 1, 2, 1, 2, 1, 2]),
        ([1, 2, 3], 8, [1, 2, 3, 2, 1, 2, 3, 2]),
        ([1, 2, 3, 4], 7, [1, 2, 3, 4, 3, 2, 1]),
        ([1, 2, 3, 4], 4, [1, 2, 3, 4]),
    ],
)
def test_small_sizes_run_up_and_down(row, multiple, expected):
    row = torch.tensor(row, dtype=torch.float32)
    assert reflect_pad(row.view(1, 1, 1, -1), multiple)[0, 0, 0].tolist() == expected
    assert reflect_pad(row.view(1, 1, -1, 1), multiple)[0, 0, :, 0].tolist() == expected


def test_the_image_is_not_changed():
    image = torch.rand(1, 3, 5, 7)
    before = image.clone()
    padded = reflect_pad(image, 8)
    padded.zero_()
    assert torch.equal(image, before)
