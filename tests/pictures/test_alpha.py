import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from swin2sr_core.pictures.alpha import bleed, upscale_frame
from swin2sr_core.pictures.frame import Frame


class Bicubic:
    """A stand-in for a network that overshoots at edges, and counts its passes."""

    def __init__(self):
        self.passes = 0

    def __call__(self, image):
        assert image.shape[:2] == (1, 3)
        self.passes += 1
        return F.interpolate(image, scale_factor=4, mode="bicubic")


def disc(size=24, radius=7):
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    inside = (x - size / 2) ** 2 + (y - size / 2) ** 2 < radius**2
    return inside.float()[None, None]


def on_green(alpha, red=(1.0, 0.0, 0.0)):
    """Red where visible, a hidden green elsewhere."""
    inside = torch.tensor(red).reshape(1, 3, 1, 1)
    hidden = torch.tensor([0.0, 1.0, 0.0]).reshape(1, 3, 1, 1)
    return torch.where(alpha > 0, inside, hidden)


def test_hidden_colours_do_not_reach_the_edges():
    alpha = disc()
    color = on_green(alpha)
    naive = Bicubic()(color)

    result = upscale_frame(Frame(color, alpha), Bicubic())

    visible = (result.alpha > 0.1).expand_as(result.color)
    green = torch.tensor([False, True, False]).reshape(1, 3, 1, 1).expand_as(result.color)
    assert float(naive[visible & green].max()) > 0.3
    assert float(result.color[visible & green].abs().max()) < 1e-5
    torch.testing.assert_close(color, on_green(alpha))  # the input is as it was


def test_alpha_is_upscaled_without_veil_or_overshoot():
    alpha = disc()
    naive = Bicubic()(alpha.expand(-1, 3, -1, -1))
    assert float(naive.max()) > 1.01 and float(naive.min()) < -0.01

    result = upscale_frame(Frame(torch.rand(1, 3, 24, 24), alpha), Bicubic())

    assert result.alpha.shape == (1, 1, 96, 96)
    assert float(result.alpha.min()) == 0 and float(result.alpha.max()) == 1
    inner = -F.max_pool2d(-alpha, 3, 1, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)
    outer = F.max_pool2d(alpha, 3, 1, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert bool((result.alpha[inner == 1] == 1).all())
    assert bool((result.alpha[outer == 0] == 0).all())
    assert float(((result.alpha > 0.1) & (result.alpha < 0.9)).float().mean()) > 0.01


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_constant_alpha_costs_no_pass(value):
    upscale = Bicubic()
    alpha = torch.full((1, 1, 5, 6), value)
    result = upscale_frame(Frame(torch.rand(1, 3, 5, 6), alpha), upscale)
    assert upscale.passes == 1
    torch.testing.assert_close(result.alpha, torch.full((1, 1, 20, 24), value))


def test_passes_of_the_other_kinds():
    varying = torch.rand(1, 1, 5, 6)
    for frame, passes in [
        (Frame(torch.rand(1, 3, 5, 6)), 1),
        (Frame(torch.rand(1, 1, 5, 6)), 1),
        (Frame(torch.rand(1, 1, 5, 6), varying), 2),
    ]:
        upscale = Bicubic()
        result = upscale_frame(frame, upscale)
        assert upscale.passes == passes
        assert result.channels == frame.channels


def test_grey_is_the_mean_of_three_channels():
    grey = torch.rand(1, 1, 4, 4)
    shift = torch.tensor([0.0, 0.1, 0.2]).reshape(1, 3, 1, 1)
    result = upscale_frame(Frame(grey), lambda image: image + shift)
    torch.testing.assert_close(result.color, grey + 0.1)


@given(
    st.integers(1, 17),
    st.integers(1, 17),
    st.sampled_from([1, 3]),
    st.floats(0.02, 0.98),
    st.integers(0, 2**31),
)
def test_bleed_keeps_what_is_seen_and_invents_nothing(height, width, channels, share, seed):
    generator = torch.Generator().manual_seed(seed)
    color = 0.4 + 0.2 * torch.rand(1, channels, height, width, generator=generator)
    alpha = torch.rand(1, 1, height, width, generator=generator)
    alpha = torch.where(alpha < share, 0, alpha)
    hidden = (alpha == 0).expand_as(color)
    color[hidden] = 1.0

    result = bleed(color, alpha)

    if not bool((alpha > 0).any()):
        assert result is color
        return
    assert torch.equal(result[~hidden], color[~hidden])
    for c in range(channels):
        seen = color[:, c][~hidden[:, c]]
        assert float(result[:, c].min()) >= float(seen.min()) - 1e-5
        assert float(result[:, c].max()) <= float(seen.max()) + 1e-5


def test_bleed_takes_the_near_colour():
    color = torch.zeros(1, 3, 16, 64)
    color[:, 0, :, :32] = 1  # red left, blue right
    color[:, 2, :, 32:] = 1
    alpha = torch.zeros(1, 1, 16, 64)
    alpha[..., :8] = 1
    alpha[..., 56:] = 1
    color[:, :, :, 8:56] = 0.5

    result = bleed(color, alpha)

    assert float(result[0, 0, :, 8:12].min()) > 0.8 and float(result[0, 2, :, 8:12].max()) < 0.2
    assert float(result[0, 2, :, 52:56].min()) > 0.8 and float(result[0, 0, :, 52:56].max()) < 0.2


def test_bleed_of_an_opaque_picture_is_the_picture():
    color = torch.rand(1, 3, 4, 4)
    assert bleed(color, torch.full((1, 1, 4, 4), 0.01)) is color


def test_bleed_is_linear_in_pixels():
    """Twice as many pixels are at most little more than twice as many operations on samples."""

    def samples(size):
        from torch.utils._python_dispatch import TorchDispatchMode

        class Count(TorchDispatchMode):
            total = 0

            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                out = func(*args, **(kwargs or {}))
                self.total += out.numel() if isinstance(out, torch.Tensor) else 0
                return out

        alpha = torch.zeros(1, 1, size, size)
        alpha[0, 0, 3, 5] = 1
        with Count() as count:
            bleed(torch.rand(1, 3, size, size), alpha)
        return count.total

    assert samples(256) < 4.2 * samples(128)
