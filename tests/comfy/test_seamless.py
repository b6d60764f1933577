"""Textures that repeat: the result repeats too, whatever the size."""

import pytest
import torch


@pytest.fixture
def seamless(pack):
    return pack("swin2sr_core.pictures.seamless")


def texture(height: int, width: int) -> torch.Tensor:
    """A smooth pattern that repeats at its borders, with detail: 1 H W 3."""
    y = torch.arange(height)[:, None] / height * 2 * torch.pi
    x = torch.arange(width)[None] / width * 2 * torch.pi
    waves = [torch.sin(a * y + b * x + a) for a, b in ((1, 2), (3, -1), (2, 5), (5, 3), (7, -6))]
    value = torch.stack(waves).sum(0) / 10 + 0.5
    return torch.stack([value, value.roll(3, 0), value.flip(0)], -1)[None]


def test_crop_inverts_pad(seamless):
    image = torch.rand(2, 3, 5, 11)
    assert torch.equal(seamless.wrap_crop(seamless.wrap_pad(image, 16), 16, 1), image)


def test_pad_continues_with_the_opposite_side(seamless):
    image = torch.arange(6.0).view(1, 1, 2, 3)
    padded = seamless.wrap_pad(image, 4)
    assert padded.shape == (1, 1, 10, 11)
    assert torch.equal(padded[..., 4:6, 1:10], image.repeat(1, 1, 1, 3))


@pytest.mark.parametrize("size", [(5, 7), (20, 9), (3, 40)])
def test_resize_does_not_care_where_the_seam_is(size, seamless):
    image = torch.rand(1, 3, 20, 40)
    resized = seamless.wrap_resize(image, *size)
    assert resized.shape[-2:] == size
    if 20 % size[0] == 0:
        step = 20 // size[0]
        rolled = seamless.wrap_resize(image.roll(5 * step, -2), *size)
        assert torch.allclose(rolled, resized.roll(5, -2), atol=1e-5)
    rolled = seamless.wrap_resize(image.roll((20, 40), (-2, -1)), *size)
    assert torch.equal(rolled, resized)


def test_resize_in_strips_is_resize(seamless, monkeypatch):
    image = torch.rand(1, 3, 30, 33)
    whole = seamless.wrap_resize(image, 13, 17)
    monkeypatch.setattr(seamless, "_ROWS", 7)
    assert torch.allclose(seamless.wrap_resize(image, 13, 17), whole, atol=1e-6)


@pytest.mark.parametrize("scale", [4.0, 2.0])
def test_where_the_texture_begins_does_not_matter(scale, compact, upscale):
    """For sizes of whole windows: rolling the texture by windows rolls the result."""
    image, shift = texture(24, 40), (8, 16)
    expected, _ = upscale(image, compact, edge="wrap", scale=scale)
    rolled, _ = upscale(image.roll(shift, (1, 2)), compact, edge="wrap", scale=scale)
    back = [-int(s * scale) for s in shift]
    assert torch.allclose(rolled.roll(back, (1, 2)), expected, atol=0.1 / 255)


@pytest.mark.parametrize("size", [(24, 40), (21, 37)])
def test_the_seam_is_no_step(size, compact, upscale):
    """The result changes there as it does elsewhere, for sizes of no whole windows too."""

    def step_across_the_seam(edge):
        result, _ = upscale(texture(*size), compact, edge=edge)
        inner = result.diff(dim=2).abs().amax()
        return float((result[:, :, 0] - result[:, :, -1]).abs().amax() / inner)

    assert step_across_the_seam("wrap") < 1.05
    assert step_across_the_seam("reflect") > step_across_the_seam("wrap")
