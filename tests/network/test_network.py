"""The network as the paper draws it: the official one's numbers, and the laws of its parts."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from swin2sr_core.network.network import RGB_MEAN, SwinBlock, WindowAttention, image_mean
from swin2sr_core.network.windows import attention_masks

TOLERANCE = 1e-5


def largest_difference(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


def test_the_official_network_is_reproduced(golden):
    for given, expected in golden.pairs:
        assert largest_difference(golden.network(given), expected) <= TOLERANCE


def test_the_goldens_would_show_a_difference(committed_golden, make_network):
    """A golden that other weights satisfy too proves nothing."""
    given, expected = committed_golden.pairs[0]
    other = make_network(committed_golden.network.config)
    assert largest_difference(other(given), expected) > 100 * TOLERANCE
    shifted = _changed(
        committed_golden.network, "layers.1.residual_group.blocks.1.attn.logit_scale"
    )
    assert largest_difference(shifted(given), expected) > 2 * TOLERANCE


def _changed(network, name: str):
    """A copy with one parameter increased by one."""
    copy = type(network)(network.config).eval().requires_grad_(False)
    copy.load_state_dict({k: v + (k == name) for k, v in network.state_dict().items()})
    return copy


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (8, 16), (9, 23)])
def test_the_output_is_scale_times_the_input(tiny_config, make_network, make_image, height, width):
    network = make_network(tiny_config)
    image = make_image(tiny_config.in_channels, height, width, batch=2)
    out = network(image)
    scale = tiny_config.scale
    assert out.shape == (2, tiny_config.in_channels, height * scale, width * scale)
    assert torch.isfinite(out).all()


def test_what_is_flat_stays_flat_up_to_the_border(make_config, make_network, make_image):
    """With padding by the border; zeros make a rim."""
    flat = make_image(3, 1, 1).expand(1, 3, 19, 27)
    padded = make_network(make_config(padding_mode="replicate", residual="3conv"))
    square = padded(flat).unflatten(-2, (-1, 2)).unflatten(-1, (-1, 2))
    assert largest_difference(square, square[..., :1, :, :1, :].expand_as(square)) <= TOLERANCE
    rim = make_network(make_config(residual="3conv"))(flat)[..., ::2, ::2]
    assert largest_difference(rim, rim[..., 6:7, 6:7].expand_as(rim)) > 100 * TOLERANCE


def test_a_batch_is_its_images(tiny_config, make_network, make_image):
    network = make_network(tiny_config)
    batch = make_image(tiny_config.in_channels, 9, 17, batch=3)
    alone = torch.cat([network(image[None]) for image in batch])
    assert largest_difference(network(batch), alone) <= TOLERANCE


def test_the_input_is_not_changed(tiny_config, make_network, make_image):
    image = make_image(tiny_config.in_channels, 8, 8)
    before = image.clone()
    make_network(tiny_config)(image)
    assert torch.equal(image, before)


def test_it_can_be_trained(tiny_config, make_network, make_image):
    """Every parameter has a gradient, and none is cut off."""
    network = make_network(tiny_config).requires_grad_(True)
    network(make_image(tiny_config.in_channels, 16, 16)).square().sum().backward()
    idle = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


def test_padding_reflects_the_picture(make_config, make_network, make_image):
    """A picture and its own reflect-padded self agree where both have pixels."""
    network, image = make_network(make_config()), make_image(3, 13, 10)
    padded = F.pad(image, (0, 6, 0, 3), mode="reflect")
    assert largest_difference(network(padded)[..., :26, :20], network(image)) <= TOLERANCE


# -- the mean ------------------------------------------------------------------------------------


def test_the_mean_is_that_of_the_training_pictures(tiny_configs):
    assert RGB_MEAN == (0.4488, 0.4371, 0.4040)
    color = image_mean(tiny_configs["direct-x2"])
    assert color.shape == (1, 3, 1, 1) and color.flatten().tolist() == pytest.approx(RGB_MEAN)
    assert image_mean(tiny_configs["restore-gray"]).tolist() == [[[[0.0]]]]


def test_a_picture_of_the_mean_enters_as_zero(make_config, make_network):
    """Scaling the range then changes nothing: what is centred at the mean is zero at any range."""
    config = make_config(head="none", scale=1, window=7)
    narrow = make_network(config)
    wide = make_network(replace(config, img_range=255.0))
    image = image_mean(config).expand(1, 3, 14, 14)
    difference = (narrow(image) - image) / 255.0 - (wide(image) - image)
    assert difference.abs().max().item() <= TOLERANCE
    assert (narrow(image) - image).abs().max().item() > 0.1


# -- attention -----------------------------------------------------------------------------------


@pytest.fixture
def attention() -> WindowAttention:
    generator = torch.Generator().manual_seed(3)
    layer = WindowAttention(12, 3, 4).requires_grad_(False)
    for parameter in layer.parameters():
        parameter.normal_(generator=generator)
    layer.logit_scale.fill_(1.0)
    return layer


def naive_attention(layer: WindowAttention, tokens: Tensor) -> Tensor:
    """Equation 2 of Swin V2 for one window, head by head and pair by pair."""
    count, dim = tokens.shape
    weight = layer.qkv.weight.view(3, layer.heads, dim // layer.heads, dim)
    q_bias, v_bias = layer.q_bias.view(layer.heads, -1), layer.v_bias.view(layer.heads, -1)
    steps = [(i // 4, i % 4) for i in range(count)]
    result = []
    for head in range(layer.heads):
        q = tokens @ weight[0, head].T + q_bias[head]
        k = tokens @ weight[1, head].T
        v = tokens @ weight[2, head].T + v_bias[head]
        logits = tokens.new_empty(count, count)
        for i in range(count):
            for j in range(count):
                offset = tokens.new_tensor(
                    [_log_spaced(steps[i][axis] - steps[j][axis], 4) for axis in (0, 1)]
                )
                bias = 16 * torch.sigmoid(layer.cpb_mlp(offset)[head])
                cosine = q[i] @ k[j] / q[i].norm() / k[j].norm()
                logits[i, j] = cosine * layer.logit_scale[head].exp() + bias
        result.append(logits.softmax(-1) @ v)
    return layer.proj(torch.cat(result, dim=-1))


def _log_spaced(offset: int, window: int) -> float:
    scaled = abs(offset) / (window - 1) * 8
    return math.copysign(math.log2(scaled + 1) / 3, offset)


def test_attention_is_the_papers_equation(attention):
    attention.double()
    tokens = torch.randn(16, 12, generator=torch.Generator().manual_seed(4)).double()
    ours = attention(tokens[None], torch.zeros(1, 16, 16).double())[0]
    assert largest_difference(ours, naive_attention(attention, tokens)) <= TOLERANCE


def test_attention_does_not_see_how_long_a_query_is(attention):
    """Cosine: without biases, a window twice as bright has the same attention weights."""
    attention.q_bias.zero_()
    tokens = torch.randn(1, 16, 12, generator=torch.Generator().manual_seed(5))
    attention.v_bias.zero_()
    attention.proj.bias.zero_()
    mask = torch.zeros(1, 16, 16)
    assert torch.allclose(attention(2 * tokens, mask), 2 * attention(tokens, mask), atol=1e-5)


def test_a_temperature_above_a_hundred_is_clamped(attention):
    tokens = torch.randn(2, 16, 12, generator=torch.Generator().manual_seed(6))
    mask = torch.zeros(2, 16, 16)
    attention.logit_scale.fill_(math.log(100.0))
    at_the_clamp = attention(tokens, mask)
    attention.logit_scale.fill_(9.0)
    assert torch.equal(attention(tokens, mask), at_the_clamp)


def test_a_query_of_zeros_is_no_division_by_zero(attention):
    attention.q_bias.zero_()
    out = attention(torch.zeros(1, 16, 12), torch.zeros(1, 16, 16))
    assert torch.isfinite(out).all()


def test_masked_pixels_have_next_to_no_weight(attention):
    """-100 is not minus infinity, but nothing of the other side gets through."""
    mask = attention_masks(4, 2)[3:]
    tokens = torch.randn(1, 16, 12, generator=torch.Generator().manual_seed(7))
    attention.v_bias.zero_()
    changed = tokens.clone()
    changed[:, -1] += 100
    here = (mask[0, -1] != 0).nonzero().flatten()
    before, after = attention(tokens, mask), attention(changed, mask)
    assert largest_difference(before[:, here], after[:, here]) <= TOLERANCE
    assert largest_difference(before[:, -1], after[:, -1]) > 1


# -- blocks --------------------------------------------------------------------------------------


def test_a_block_normalises_after_its_branches():
    """Res-post-norm: with norms of zero weight a block adds the norms' biases and nothing else."""
    block = SwinBlock(12, 3, 4, 2, 24).requires_grad_(False)
    for norm, value in ((block.norm1, 0.25), (block.norm2, 0.5)):
        norm.weight.zero_()
        norm.bias.fill_(value)
    x = torch.randn(1, 8, 12, 12, generator=torch.Generator().manual_seed(8))
    assert torch.allclose(block(x), x + 0.75, atol=1e-6)


@pytest.mark.parametrize(("shift", "rows"), [(0, range(8, 16)), (4, range(4, 12))])
def test_a_pixel_reaches_its_own_window_only(shift, rows):
    """Pixel (8, 8) is the first of a plain window, and lies in the middle of a shifted one."""
    block = SwinBlock(12, 3, 8, shift, 24).requires_grad_(False)
    x = torch.randn(1, 32, 32, 12, generator=torch.Generator().manual_seed(9))
    changed = x.clone()
    changed[:, 8, 8] += 1
    touched = (block(changed) - block(x)).abs().sum(-1)[0] > 1e-6
    assert touched.any(1).nonzero().flatten().tolist() == list(rows)
    assert touched.any(0).nonzero().flatten().tolist() == list(rows)


def test_the_borders_of_a_shifted_block_are_no_neighbours():
    """Rolling brings opposite borders together; the mask keeps them apart."""
    block = SwinBlock(12, 3, 8, 4, 24).requires_grad_(False)
    x = torch.randn(1, 24, 24, 12, generator=torch.Generator().manual_seed(10))
    changed = x.clone()
    changed[:, :4] += 1
    assert largest_difference(block(changed)[:, -4:], block(x)[:, -4:]) <= TOLERANCE
    assert largest_difference(block(changed)[:, :4], block(x)[:, :4]) > 0.1
