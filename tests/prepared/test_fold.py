"""Folding: the prepared network computes the same function, and keeps its ends in float32."""

import math

import pytest
import torch
from torch import nn

from swin2sr_core.network.config import padded_head_dim
from swin2sr_core.network.heads import HEADS
from swin2sr_core.prepared import fold as fold_module
from swin2sr_core.prepared.fold import fold
from swin2sr_core.prepared.folded import ExactConv2d

CPU = torch.device("cpu")
DTYPES = (torch.float32, torch.bfloat16)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def tensors_of(*modules: nn.Module) -> list[torch.Tensor]:
    return [t for module in modules for t in (*module.parameters(), *module.buffers())]


def test_the_network_is_left_as_it_is(tiny_config, make_network):
    network = make_network(tiny_config).requires_grad_(True).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold(network, torch.bfloat16, CPU)
    after = network.state_dict()
    assert all(torch.equal(after[n], v) and after[n].dtype == v.dtype for n, v in before.items())
    assert network.training and all(p.requires_grad for p in network.parameters())
    own = {p.data_ptr() for p in network.parameters()}
    assert own.isdisjoint(t.data_ptr() for t in tensors_of(folded))


@pytest.mark.parametrize("dtype", DTYPES)
def test_it_says_what_it_is_made_for(tiny_config, make_network, dtype):
    folded = fold(make_network(tiny_config), dtype, CPU)
    assert (folded.config, folded.dtype, folded.device) == (tiny_config, dtype, CPU)
    tensors = tensors_of(folded)
    assert {t.dtype for t in tensors} == {torch.float32, dtype}
    assert not any(t.requires_grad for t in tensors)
    assert all(torch.isfinite(t).all() for t in tensors)


def test_folding_twice_gives_the_same_bytes(tiny_config, make_network):
    network = make_network(tiny_config)
    first, second = (tensors_of(fold(network, torch.float32, CPU)) for _ in range(2))
    assert len(first) == len(second) > 50
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_pointwise_convolutions_are_folded_in(tiny_config, make_network):
    """The one behind a stage's 3x3 convolution, and the one behind the first."""
    network = make_network(tiny_config)
    folded = fold(network, torch.float32, CPU)
    x = noise(1, tiny_config.embed_dim, 9, 11)
    for stage, ready in zip(network.layers, folded.stages, strict=True):
        expected = stage.patch_embed.proj(stage.conv(x))
        assert torch.allclose(ready.conv(x), expected, atol=1e-5)
        assert (ready.conv(x) - stage.conv(x)).abs().max() > 0.1
    image = noise(1, tiny_config.in_channels, 9, 11)
    expected = network.patch_embed.proj(network.conv_first(image))
    assert torch.allclose(folded.embed(image), expected, atol=1e-5)


def test_both_ends_stay_in_float32(tiny_config, make_network):
    """bf16 has no 8 bits for a pixel: what reads and what writes the picture is wider."""
    folded = fold(make_network(tiny_config), torch.bfloat16, CPU)
    image = noise(1, tiny_config.in_channels, 8, 8)
    assert folded.conv_first(image).dtype == torch.float32
    assert folded.embed(image).dtype == torch.float32
    wide = {t.dtype for t in tensors_of(folded.conv_first, folded.embed)}
    assert wide == {folded.mean.dtype} == {torch.float32}


def test_a_padded_head_has_room_for_a_column_of_ones():
    for head_dim in range(1, 70):
        assert head_dim < padded_head_dim(head_dim) <= head_dim + 4
        assert padded_head_dim(head_dim) % 4 == 0


def attentions(folded):
    return [block.attention for stage in folded.stages for block in stage.blocks]


@pytest.mark.parametrize(("temperature", "bounded"), [(0.0, True), (10.0, True), (100.0, False)])
def test_bounded_tells_whether_logits_fit_the_range(
    make_config, make_network, temperature, bounded
):
    network = make_network(make_config())
    for name, parameter in network.named_parameters():
        if name.endswith("logit_scale"):
            parameter.fill_(math.log(temperature) if temperature else -20.0)
    found = [attention.bounded for attention in attentions(fold(network, torch.float32, CPU))]
    assert found == [bounded] * 5


def test_a_single_hot_head_is_enough_to_be_unbounded(make_config, make_network):
    network = make_network(make_config())
    network.get_parameter("layers.1.residual_group.blocks.0.attn.logit_scale")[2] = 5.0
    found = [attention.bounded for attention in attentions(fold(network, torch.float32, CPU))]
    assert found == [True, True, True, False, True]


def test_the_temperature_is_clamped_before_it_is_judged(make_config, make_network):
    """Whatever the file says beyond ln 100, the network behaves as at ln 100."""
    folded = []
    for value in (math.log(100.0), 50.0):
        network = make_network(make_config())
        for name, parameter in network.named_parameters():
            if name.endswith("logit_scale"):
                parameter.fill_(value)
        folded.append(tensors_of(fold(network, torch.float32, CPU)))
    assert all(torch.equal(a, b) for a, b in zip(*folded, strict=True))


def test_what_counts_as_bounded_keeps_sums_normal_and_finite():
    """64 terms of 2 ** (+-room), and of their products with values of 2 ** 10, in float32."""
    room = torch.tensor(fold_module._EXPONENT_ROOM)
    largest, least = torch.exp2(room), torch.exp2(-room)
    assert torch.isfinite(largest * 64 * 2**10)
    assert least / 2**10 >= torch.finfo(torch.float32).tiny


def test_no_convolution_is_left_to_tf32(make_config, make_network):
    """On Nvidia's cards float32 would be rounded to 10 bits; how it is called there works here."""
    for head in HEADS:
        folded = fold(make_network(make_config(head=head)), torch.float32, CPU)
        convs = [each for each in folded.modules() if isinstance(each, nn.Conv2d)]
        assert convs and all(isinstance(each, ExactConv2d) for each in convs)
    conv = convs[-1]
    x = torch.randn(2, conv.in_channels, 9, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(conv.without_tf32(x, conv.weight, conv.bias), conv(x))
