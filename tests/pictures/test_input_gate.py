"""The input gate: off by default, in proportion, never silent."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swin2sr_core.errors import InputError
from swin2sr_core.pictures.frame import Frame
from swin2sr_core.pictures.input_gate import gated, gated_size, notice

sides = st.integers(1, 5000)


@given(sides, sides)
def test_without_a_limit_everything_passes(height, width):
    assert gated_size(height, width, 0) == (height, width)


@given(sides, sides, st.integers(1, 4000))
def test_no_side_is_longer_and_the_proportions_stay(height, width, limit):
    new_height, new_width = gated_size(height, width, limit)
    assert 1 <= max(new_height, new_width) <= max(limit, 1)
    assert (new_height, new_width) == (height, width) or max(new_height, new_width) == limit
    factor = min(1, limit / max(height, width))
    assert abs(new_height - height * factor) <= 1 and abs(new_width - width * factor) <= 1


def test_what_is_small_enough_is_not_touched():
    frame = Frame(torch.rand(1, 3, 20, 30))
    assert gated(frame, 30) is frame


def test_colours_and_alpha_are_reduced_alike():
    frame = Frame(torch.rand(1, 3, 40, 80), torch.rand(1, 1, 40, 80))
    reduced = gated(frame, 20)
    assert reduced.color.shape == (1, 3, 10, 20)
    assert reduced.alpha is not None and reduced.alpha.shape == (1, 1, 10, 20)
    assert float(reduced.color.min()) >= 0 and float(reduced.color.max()) <= 1


def test_a_negative_limit_is_refused():
    with pytest.raises(InputError, match="-5"):
        gated_size(10, 10, -5)


def test_the_notice_names_sizes_and_limit():
    text = notice((40, 80), (10, 20), 20)
    assert "80x40" in text and "20x10" in text and "max_input_side is 20" in text
