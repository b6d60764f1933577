import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swin2sr_core.errors import InputError
from swin2sr_core.pictures.frame import Frame, from_pixels, over_white, pixel_bands, to_pixels


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_integer_comes_back(bits, channels):
    values = np.arange(2**bits, dtype=np.uint8 if bits == 8 else np.uint16)
    pixels = np.stack([np.roll(values, c) for c in range(channels)], axis=-1)
    pixels = pixels.reshape(2 ** (bits // 2), -1, channels)

    frame = from_pixels(pixels)

    assert frame.channels == channels
    assert (frame.alpha is not None) == (channels in (2, 4))
    assert frame.color.dtype == torch.float32
    assert float(frame.color.min()) >= 0 and float(frame.color.max()) == 1
    np.testing.assert_array_equal(to_pixels(frame, bits), pixels)


@given(st.lists(st.floats(-1, 2, width=32), min_size=1, max_size=20))
def test_rounding_is_the_documented_formula(values):
    color = torch.tensor(values).reshape(1, 1, 1, -1)
    expected = (color.clamp(0, 1) * 255).round().to(torch.uint8)[0, 0].numpy()
    np.testing.assert_array_equal(to_pixels(Frame(color))[..., 0], expected)


def test_bands_are_the_whole_in_pieces():
    frame = Frame(torch.rand(1, 3, 700, 1100), torch.rand(1, 1, 700, 1100))
    bands = list(pixel_bands(frame))
    assert len(bands) > 1
    np.testing.assert_array_equal(np.concatenate(bands), to_pixels(frame))


def test_over_white():
    color = torch.tensor([0.2, 0.2, 0.2]).reshape(1, 1, 1, 3)
    alpha = torch.tensor([1.0, 0.5, 0.0]).reshape(1, 1, 1, 3)
    white = over_white(Frame(color, alpha))
    assert white.alpha is None
    torch.testing.assert_close(white.color.flatten(), torch.tensor([0.2, 0.6, 1.0]))


@pytest.mark.parametrize(
    ("color", "alpha", "words"),
    [
        ((1, 2, 4, 4), None, "color must be 1 x 1|3 x H x W, got 1 x 2 x 4 x 4"),
        ((3, 4, 4), None, "got 3 x 4 x 4"),
        ((1, 3, 0, 4), None, "got 1 x 3 x 0 x 4"),
        ((1, 3, 4, 5), (1, 1, 5, 4), "alpha must be 1 x 1 x 4 x 5"),
    ],
)
def test_shapes_that_do_not_fit(color, alpha, words):
    with pytest.raises(InputError) as caught:
        Frame(torch.zeros(color), None if alpha is None else torch.zeros(alpha))
    assert words in str(caught.value)
