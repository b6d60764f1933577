"""Sharpening: steeper edges, and never a value that was not there."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from swin2sr_core.errors import InputError
from swin2sr_core.pictures import sharpen as module
from swin2sr_core.pictures.sharpen import sharpen
from swin2sr_core.planning.choices import MAX_SHARPEN


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, channels, height, width, generator=generator)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    channels=st.sampled_from([1, 3]),
    amount=st.floats(0, MAX_SHARPEN),
)
def test_every_pixel_stays_within_its_neighbourhood(height, width, channels, amount):
    image = picture(height, width, channels)
    around = F.pad(image, (1, 1, 1, 1), mode="replicate")
    result = sharpen(image, amount)
    assert result.shape == image.shape
    assert bool((result <= F.max_pool2d(around, 3, 1)).all())
    assert bool((result >= -F.max_pool2d(-around, 3, 1)).all())


def soft_line() -> torch.Tensor:
    """A dark line, softly drawn on light grey paper: 1 x 3 x 16 x 32."""
    profile = torch.full((32,), 0.85)
    profile[13:19] = torch.tensor([0.7, 0.4, 0.1, 0.1, 0.4, 0.7])
    return profile.expand(1, 3, 16, 32).clone()


def test_a_soft_line_gets_steeper_without_a_halo():
    image = soft_line()
    result = sharpen(image, 0.2)
    assert float(result.max()) <= float(image.max()), "a halo is brighter than the paper"
    steepest = (image[..., 1:] - image[..., :-1]).abs().max()
    assert float((result[..., 1:] - result[..., :-1]).abs().max()) > 1.1 * float(steepest)


def test_more_is_sharper():
    edges = [float(sharpen(soft_line(), a).diff(dim=-1).abs().max()) for a in (0, 0.1, 0.2)]
    assert edges == sorted(edges)
    assert len(set(edges)) == 3


def test_flat_areas_and_ramps_stay_as_they_are():
    ramp = torch.linspace(0, 1, 40).expand(1, 3, 40, 40).contiguous()
    flat = torch.full((1, 3, 9, 9), 0.3)
    assert torch.allclose(sharpen(flat, 0.5), flat, atol=1e-6)
    inside = (..., slice(3, -3))
    assert torch.allclose(sharpen(ramp, 0.5)[inside], ramp[inside], atol=1e-6)


def test_colours_get_the_same_detail():
    image = soft_line()
    image[:, 0] *= 0.5
    result = sharpen(image, 0.05)
    moved = result - image
    free = moved.abs().amax(dim=1) > 0
    assert bool(free.any())
    assert torch.allclose(moved[:, 1], moved[:, 2])


def test_strips_equal_the_whole(monkeypatch):
    image = picture(70, 9)
    whole = sharpen(image, 0.3)
    monkeypatch.setattr(module, "_STRIP_ROWS", 7)
    assert torch.equal(sharpen(image, 0.3), whole)


def test_the_input_is_left_alone_and_zero_does_nothing():
    image = picture(8, 8)
    copy = image.clone()
    sharpen(image, 0.4)
    assert torch.equal(image, copy)
    assert sharpen(image, 0) is image


@pytest.mark.parametrize("amount", [-0.1, 0.51, float("nan"), float("inf")])
def test_amounts_out_of_range_are_refused(amount):
    with pytest.raises(InputError, match=r"from 0 \(off\) to 0.5"):
        sharpen(picture(4, 4), amount)
