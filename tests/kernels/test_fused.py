"""Fused kernels are the reference, for any shape; and the same to the bit, however they are run."""

import copy
import math
import threading
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swin2sr_core.engine.canvas import WholeCanvas
from swin2sr_core.engine.passes import Pass
from swin2sr_core.kernels import choice
from swin2sr_core.kernels.block import ReferenceKernel
from swin2sr_core.kernels.choice import Choice
from swin2sr_core.kernels.fused import FusedKernel
from swin2sr_core.machine.devices import DTYPES
from swin2sr_core.network.window_grid import MapRegion
from swin2sr_core.network.windows import window_groups
from swin2sr_core.planning.candidates import fastest_pass
from swin2sr_core.planning.strategies import Staged, layout
from swin2sr_core.prepared.fold import fold

CPU = torch.device("cpu")


@st.composite
def shapes(draw):
    """Fields of a config, of 12 to 180 channels: norms over fewer enlarge any rounding."""
    heads = draw(st.integers(1, 6))
    width = draw(st.integers(-(-12 // heads), 30))
    return {
        "window": draw(st.sampled_from([7, 8])),
        "num_heads": (heads,),
        "embed_dim": heads * width,
        "mlp_dim": draw(st.integers(12, 60)),
        "depths": (2,),
    }


def feature_map(config, rows=2, columns=3):
    generator = torch.Generator().manual_seed(3)
    size = rows * config.window, columns * config.window
    return torch.randn(*size, config.embed_dim, generator=generator)


def applied(kernel, folded, number, x, windows=4):
    """The block of that number in the first stage, on the map x (H W C), band by band."""
    config, block = folded.config, folded.stages[0].blocks[number]
    source = x.to(folded.dtype).flatten(0, 1)
    target = torch.full_like(source, math.nan)
    shift = config.shift if block.shifted else 0
    for kind, index in window_groups(MapRegion.whole(*x.shape[:2]), config.window, shift):
        for band in index.split(windows):
            kernel.run(block, kind, source, target, band)
    return target.view(x.shape)


def in_type_of(native, network):
    return fold(network, DTYPES[native.precision], CPU)


def exactly(network, number, x):
    """That block of the network in float64."""
    block = copy.deepcopy(network).double().layers[0].residual_group.blocks[number]
    return block(x.double()[None])[0]


def assert_right(native, network, number, x, limit=1e-5):
    """In fp32 the reference's numbers; in bf16, where rounding differs, as near to the truth."""
    folded = in_type_of(native, network)
    x = x.to(folded.dtype)
    reference = ReferenceKernel(folded.config, 4, folded.dtype, CPU)
    expected = applied(reference, folded, number, x)
    found = applied(FusedKernel(native), folded, number, x)
    if native.precision == "fp32":
        assert (found - expected).abs().max() <= limit
    else:
        exact = exactly(network, number, x)
        assert (found - exact).norm() <= (expected - exact).norm()


@given(shape=shapes(), seed=st.integers(0, 99))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@torch.inference_mode()
def test_it_is_the_reference(native, make_config, make_network, shape, seed):
    config = make_config(**shape)
    network = make_network(config, seed)
    for number in (0, 1):
        assert_right(native, network, number, feature_map(config))


@pytest.mark.parametrize(("channels", "hidden"), [(180, 360), (60, 120), (66, 7)])
@torch.inference_mode()
def test_the_widths_that_there_are(native, make_config, make_network, channels, hidden):
    config = make_config(embed_dim=channels, num_heads=(6,), mlp_dim=hidden, depths=(2,))
    network = make_network(config)
    for number in (0, 1):
        assert_right(native, network, number, feature_map(config))


@pytest.mark.parametrize("temperature", [1.0, 30.0, 100.0])
@torch.inference_mode()
def test_hot_heads(native, make_config, make_network, temperature):
    """Bounded and unbounded exponentials."""
    network = make_network(make_config())
    for name, parameter in network.named_parameters():
        if name.endswith("logit_scale"):
            parameter.fill_(math.log(temperature))
    folded = in_type_of(native, network)
    assert all(b.attention.bounded == (temperature < 50) for b in folded.stages[0].blocks)
    for number in (0, 1):
        # A logit of 100 has a rounding error of 1e-5 of its own, before the exponential.
        limit = 1e-5 if temperature < 50 else 1e-4
        assert_right(native, network, number, feature_map(network.config), limit)


@torch.inference_mode()
def test_it_is_as_near_to_float64_as_the_reference(native, make_config, make_network):
    """At the classical width, where sums are the longest."""
    config = make_config(embed_dim=180, num_heads=(6,), mlp_dim=360, depths=(1,))
    network = make_network(config)
    folded = in_type_of(native, network)
    x = feature_map(config).to(folded.dtype)
    exact = exactly(network, 0, x)
    kernels = ReferenceKernel(config, 4, folded.dtype, CPU), FusedKernel(native)
    reference, fused = ((applied(k, folded, 0, x) - exact).abs().max() for k in kernels)
    assert fused <= 2 * reference


@pytest.fixture
def folded(native, make_config, make_network):
    return in_type_of(native, make_network(make_config(embed_dim=60, num_heads=(6, 6))))


@pytest.fixture
def threads():
    """Sets torch's number of threads, and puts it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("number", [0, 1], ids=["plain", "shifted"])
@torch.inference_mode()
def test_neither_bands_nor_threads_change_a_bit(native, folded, threads, number):
    x, kernel = feature_map(folded.config, 3, 5), FusedKernel(native)
    expected = applied(kernel, folded, number, x, windows=1)
    for count in (1, 2, 3, 8, 1):
        threads(count)
        for windows in (1, 2, 7, 100):
            assert torch.equal(applied(kernel, folded, number, x, windows), expected)


@torch.inference_mode()
def test_calls_of_several_threads_at_once(native, folded, threads):
    """A service may run pictures side by side: whoever comes second works alone."""
    threads(2)
    x, kernel = feature_map(folded.config, 4, 4), FusedKernel(native)
    expected = applied(kernel, folded, 0, x)
    wrong = []

    @torch.inference_mode()
    def work():
        for _ in range(20):
            wrong.extend([0] * (not torch.equal(applied(kernel, folded, 0, x), expected)))

    callers = [threading.Thread(target=work) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


@torch.inference_mode()
def test_in_place_and_only_where_the_index_says(native, folded):
    block, kernel = folded.stages[0].blocks[0], FusedKernel(native)
    x = feature_map(folded.config).flatten(0, 1).to(folded.dtype)
    before, band = x.clone(), torch.arange(64, 192, dtype=torch.int32).view(2, 64)
    expected = torch.empty_like(x)
    kernel.run(block, 0, x, expected, band)
    kernel.run(block, 0, x, x, band)
    assert torch.equal(x[64:192], expected[64:192])
    assert torch.equal(x[:64], before[:64]) and torch.equal(x[192:], before[192:])


@torch.inference_mode()
def test_packed_weights_are_dropped_with_the_weights(native, folded, make_network):
    x, kernel = feature_map(folded.config), FusedKernel(native)
    before = applied(kernel, folded, 0, x)
    other = in_type_of(native, make_network(folded.config, 5))
    folded.load_state_dict(other.state_dict())
    after = applied(kernel, folded, 0, x)
    assert not torch.allclose(before, after)
    assert torch.equal(after, applied(kernel, other, 0, x))


@pytest.mark.parametrize("window", [8, 7])
def test_whole_and_staged_have_the_same_bits(
    native, make_config, make_network, make_image, monkeypatch, window
):
    """The last convolutions of torch too, where they see whole pieces."""
    kernel = FusedKernel(native)
    monkeypatch.setattr(
        "swin2sr_core.engine.passes.chosen",
        lambda network: Choice("fused", lambda _: kernel, kernel.add_conv),
    )
    config = make_config(window=window)
    folded = in_type_of(native, make_network(config))
    side = 6 * window
    image = make_image(3, side, side)
    whole = fastest_pass(config, side, side, native.precision, unified=True)
    staged = Staged(**layout(whole), region_side=2 * window)
    outputs = []
    for plan in (whole, replace(whole, band_windows=1), staged):
        output = torch.empty(1, 3, 2 * side, 2 * side)
        Pass(folded, image, WholeCanvas(output), lambda work: None).run(plan)
        outputs.append(output)
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def test_what_it_can_not_run_is_named(make_config, make_network):
    wide = fold(make_network(make_config(window=9)), torch.float32, CPU)
    assert "more than 64 tokens" in choice.reason_against(wide.stages[0].blocks[0])
    quantized = ["layers.0.residual_group.blocks.0.mlp.fc1"]
    narrow = fold(make_network(make_config()), torch.float32, CPU, quantized)
    assert "int8" in choice.reason_against(narrow.stages[0].blocks[0])
