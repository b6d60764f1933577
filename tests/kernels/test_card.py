"""Triton's kernels for graphics cards: their numbers by its interpreter, on the CPU."""

import math
import re
from itertools import product

import pytest
import torch

from swin2sr_core.kernels.block import ReferenceKernel
from swin2sr_core.network.window_grid import MapRegion
from swin2sr_core.network.windows import bands, merged, window_groups
from swin2sr_core.prepared.fold import fold

pytest.importorskip("triton", minversion="3.2")

from triton_on_cpu import mend_bf16

from swin2sr_core.kernels.card import kernels

CPU = torch.device("cpu")
TYPES = [torch.float32, torch.float16, torch.bfloat16]
CONFIGS = {
    "compact": {"embed_dim": 60, "num_heads": (6,), "mlp_dim": 120},
    "classical": {"embed_dim": 180, "num_heads": (6,), "mlp_dim": 360},
    "49 tokens": {"embed_dim": 24, "num_heads": (2,), "mlp_dim": 40, "window": 7},
    "powers of two": {"embed_dim": 64, "num_heads": (4,), "mlp_dim": 64},
}
KERNELS = [kernels.CoreKernel(), kernels.HalvesKernel(4)]
NAMES = [each.name for each in KERNELS]


@pytest.fixture(autouse=True)
def interpreter(monkeypatch):
    mend_bf16(monkeypatch)


@pytest.fixture
def network_of(make_config, make_network):
    def make(name="compact", **changes):
        return make_network(make_config(**{"depths": (2,), **CONFIGS[name], **changes}))

    return make


def run(kernel, network, dtype, x, windows=1000):
    """Both blocks of the first stage on the map x (H W C), one after the other."""
    folded = fold(network, dtype, CPU)
    config, flat = network.config, x.to(dtype).flatten(0, 1)
    if kernel is None:
        kernel = ReferenceKernel(config, windows, dtype, CPU)
    target = torch.full_like(flat, math.nan)
    source = flat
    for block in folded.stages[0].blocks:
        shift = config.shift if block.shifted else 0
        groups = window_groups(MapRegion.whole(*x.shape[:2]), config.window, shift)
        for kinds, band in bands(*merged(groups), windows):
            kernel.run(block, kinds, source, target, band)
        source = target
    assert torch.equal(flat, x.to(dtype).flatten(0, 1))
    return target.float()


def random_map(config, rows=2, columns=3):
    generator = torch.Generator().manual_seed(1)
    shape = rows * config.window, columns * config.window, config.embed_dim
    return torch.randn(shape, generator=generator)


@pytest.mark.parametrize(
    ("name", "kernel"),
    [*product(CONFIGS, KERNELS), ("compact", kernels.HalvesKernel(8))],
    ids=lambda value: getattr(value, "name", value),
)
@torch.inference_mode()
def test_in_fp32_it_is_the_reference(network_of, kernel, name):
    network = network_of(name)
    x = random_map(network.config)
    expected = run(None, network, torch.float32, x)
    found = run(kernel, network, torch.float32, x)
    assert (found - expected).abs().max() <= 1e-5
    assert (found - x.flatten(0, 1)).abs().max() > 0.5, "nothing was done: the test shows nothing"


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
@pytest.mark.parametrize("dtype", TYPES[1:], ids=str)
@torch.inference_mode()
def test_narrow_types_are_no_further_off_than_the_reference(network_of, kernel, dtype):
    network = network_of()
    x = random_map(network.config)
    exact = run(None, network, torch.float32, x)
    reference = (run(None, network, dtype, x) - exact).norm()
    assert (run(kernel, network, dtype, x) - exact).norm() <= 1.1 * reference


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
@torch.inference_mode()
def test_a_band_leaves_other_rows_alone(network_of, kernel):
    network = network_of()
    config, x = network.config, random_map(network.config)
    block = fold(network, torch.float32, CPU).stages[0].blocks[1]
    kinds, index = merged(window_groups(MapRegion.whole(*x.shape[:2]), config.window, config.shift))
    flat = x.flatten(0, 1)
    target = torch.full_like(flat, 7.0)
    kinds, index = next(bands(kinds, index, 2))
    kernel.run(block, kinds, flat, target, index)
    inside = torch.zeros(len(flat), dtype=torch.bool)
    inside[index.flatten().long()] = True
    assert (target[~inside] == 7.0).all()
    assert (target[inside] != 7.0).all()


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
@torch.inference_mode()
def test_the_size_of_a_band_changes_nothing(network_of, kernel):
    network = network_of("49 tokens")
    x = random_map(network.config)
    one, all_of_them = (run(kernel, network, torch.float32, x, size) for size in (1, 1000))
    assert (one - all_of_them).abs().max() <= 1e-5


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
@torch.inference_mode()
def test_hot_heads_in_fp16(network_of, kernel):
    """Logits that have no bound need the largest one taken off."""
    network = network_of()
    for name, parameter in network.named_parameters():
        if name.endswith("logit_scale"):
            parameter.fill_(math.log(100.0))
    x = random_map(network.config)
    exact = run(None, network, torch.float32, x)
    reference = (run(None, network, torch.float16, x) - exact).norm()
    assert (run(kernel, network, torch.float16, x) - exact).norm() <= 1.2 * reference


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
@torch.inference_mode()
def test_hidden_values_that_are_scaled(network_of, kernel):
    network = network_of()
    for block in network.layers[0].residual_group.blocks:
        block.mlp.hidden_scale = 0.25
        block.mlp.fc1.weight.mul_(0.25)
        block.mlp.fc1.bias.mul_(0.25)
    x = random_map(network.config)
    expected = run(None, network, torch.float32, x)
    assert (run(kernel, network, torch.float32, x) - expected).abs().max() <= 1e-5


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"window": 9}, "tokens"), ({"embed_dim": 240}, "channels"), ({}, "")],
)
def test_what_does_not_fit_is_left_to_the_reference(network_of, changes, reason):
    network = network_of(**changes)
    block = fold(network, torch.float16, CPU).stages[0].blocks[0]
    assert re.search(reason, kernels.reason_against(network.config, block))
    assert bool(reason) == bool(kernels.reason_against(network.config, block))
