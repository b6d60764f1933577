"""A block on a band of windows: the paper's block for any size of band, in memory taken once."""

import math

import pytest
import torch

from swin2sr_core.kernels.block import Workspace, run_block
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.network.window_grid import MapRegion
from swin2sr_core.network.windows import window_groups
from swin2sr_core.planning.workspace import WorkspaceSizes
from swin2sr_core.prepared.fold import fold

CPU = torch.device("cpu")
HEIGHT, WIDTH = 24, 40


def feature_map(config, height=HEIGHT, width=WIDTH) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(height, width, config.embed_dim, generator=generator)


def in_bands(network, folded, number: int, x: torch.Tensor, windows: int) -> torch.Tensor:
    """The block of that number in the first stage, applied to the map x (H W C) band by band."""
    config, block = network.config, folded.stages[0].blocks[number]
    region = MapRegion.whole(*x.shape[:2])
    shift = config.shift if block.shifted else 0
    memory = Workspace(config, windows, folded.dtype, CPU)
    source = x.to(folded.dtype).flatten(0, 1)
    target = torch.full_like(source, float("nan"))
    for kind, index in window_groups(region, config.window, shift):
        bands = index.split(windows)
        memory.prepare_bias(block.attention, kind)
        for band in bands:
            done = run_block(block, memory.gather(source, band), memory)
            target.index_copy_(0, band.flatten().long(), done)
    return target.view(x.shape)


@pytest.mark.parametrize("window", [8, 7])
@pytest.mark.parametrize("number", [0, 1], ids=["plain", "shifted"])
@pytest.mark.parametrize("windows", [1, 4, 7, 1000])
@torch.inference_mode()
def test_bands_make_the_block(make_config, make_network, window, number, windows):
    config = make_config(window=window)
    network = make_network(config)
    folded = fold(network, torch.float32, CPU)
    x = feature_map(config, 3 * window, 5 * window)
    expected = network.layers[0].residual_group.blocks[number](x[None])[0]
    assert folded.stages[0].blocks[number].shifted == (number == 1)
    found = in_bands(network, folded, number, x, windows)
    assert (found - expected).abs().max() <= 1e-5
    assert (found - x).abs().max() > 0.5, "the block does nothing: the test shows nothing"


@pytest.mark.parametrize("stage", [0, 1])
@torch.inference_mode()
def test_stages_may_have_different_numbers_of_heads(make_config, make_network, stage):
    config = make_config(depths=(1, 1), num_heads=(1, 6))
    network = make_network(config)
    folded = fold(network, torch.float32, CPU)
    x = feature_map(config, 8, 24).view(3, 64, -1)
    memory = Workspace(config, 2, torch.float32, CPU)
    block = folded.stages[stage].blocks[0]
    memory.prepare_bias(block.attention, 0)
    flat, index = x.flatten(0, 1), torch.arange(128, dtype=torch.int32).view(2, 64)
    found = run_block(block, memory.gather(flat, index), memory).view(2, 64, -1)
    attention = network.layers[stage].residual_group.blocks[0]
    attended = x[:2] + attention.norm1(attention.attn(x[:2], torch.zeros(2, 64, 64)))
    expected = attended + attention.norm2(attention.mlp(attended))
    assert (found - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("temperature", [1.0, 30.0, 100.0])
@torch.inference_mode()
def test_hot_heads_match_the_softmax(make_config, make_network, temperature):
    """Bounded or not, exponentials without a running maximum are the softmax."""
    network = make_network(make_config())
    for name, parameter in network.named_parameters():
        if name.endswith("logit_scale"):
            parameter.fill_(math.log(temperature))
    folded = fold(network, torch.float32, CPU)
    x = feature_map(network.config)
    for number in (0, 1):
        expected = network.layers[0].residual_group.blocks[number](x[None])[0]
        found = in_bands(network, folded, number, x, 6)
        # A logit of 100 has a rounding error of 1e-5 of its own, before the exponential.
        assert (found - expected).abs().max() <= (1e-5 if temperature < 50 else 1e-4)


@torch.inference_mode()
def test_similar_tokens_at_the_hottest_temperature_stay_finite(make_config, make_network):
    """All logits at the top of their range at once: where exponentials would overflow first."""
    network = make_network(make_config())
    for name, parameter in network.named_parameters():
        if name.endswith("logit_scale"):
            parameter.fill_(math.log(100.0))
        if name.endswith("cpb_mlp.2.weight"):
            parameter.fill_(10.0)
        if name.endswith(("cpb_mlp.0.bias", "q_bias")):
            parameter.fill_(0.0)
    for block in (b for stage in network.layers for b in stage.residual_group.blocks):
        dim = network.config.embed_dim
        block.attn.qkv.weight[dim : 2 * dim] = block.attn.qkv.weight[:dim]
    x = torch.ones_like(feature_map(network.config))
    for dtype in (torch.float32, torch.bfloat16):
        folded = fold(network, dtype, CPU)
        for number in (0, 1):
            found = in_bands(network, folded, number, x, 6)
            expected = network.layers[0].residual_group.blocks[number](x[None])[0]
            assert torch.isfinite(found).all()
            limit = 1e-4 if dtype == torch.float32 else 0.1
            assert (found.float() - expected).abs().max() <= limit


@torch.inference_mode()
def test_what_was_in_the_memory_before_does_not_matter(make_config, make_network):
    network = make_network(make_config())
    folded = fold(network, torch.float32, CPU)
    x = feature_map(network.config)
    dirty = feature_map(network.config) * 1e6
    block = folded.stages[0].blocks[0]
    index = torch.arange(4 * 64, dtype=torch.int32).view(4, 64)
    results = []
    for history in ([x], [dirty, x]):
        memory = Workspace(network.config, 4, torch.float32, CPU)
        for each in history:
            memory.prepare_bias(block.attention, 0)
            done = run_block(block, memory.gather(each.flatten(0, 1), index), memory).clone()
        results.append(done)
    assert torch.equal(*results)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("windows", [1, 5])
@torch.inference_mode()
def test_a_workspace_takes_what_its_sizes_say(make_config, make_network, dtype, windows):
    """Buffers and the norms' results together, which are all that a block allocates."""
    config = make_config(embed_dim=60, num_heads=(6, 6), mlp_dim=120)
    folded = fold(make_network(config), dtype, CPU)
    source = feature_map(config).flatten(0, 1).to(dtype)
    index = torch.arange(windows * 64, dtype=torch.int32).view(windows, 64)
    with PeakMeter() as meter:
        memory = Workspace(config, windows, dtype, CPU)
        for block in folded.stages[0].blocks:
            memory.prepare_bias(block.attention, 0)
            run_block(block, memory.gather(source, index), memory)
    assert meter.peak == pytest.approx(
        WorkspaceSizes.of(config, windows).total * dtype.itemsize, rel=0.05
    )
