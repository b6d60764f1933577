"""Folded networks are modules: they move, copy, list and load their tensors as all modules do."""

import copy
import pickle

import pytest
import torch
from torch import nn

import swin2sr_core as s2
from swin2sr_core.models.model import Model
from swin2sr_core.prepared.fold import fold
from swin2sr_core.prepared.linears import Linear
from swin2sr_core.prepared.precision import prepare
from swin2sr_core.prepared.quantization import QuantizedLinear

CPU = torch.device("cpu")


@pytest.fixture(params=["fp32", "bf16", "fp16", "int8"])
def precision(request):
    return request.param


@pytest.fixture
def prepared(make_config, make_network, precision):
    """(seed) -> a tiny network, prepared for the test's precision."""
    return lambda seed=0: prepare(make_network(make_config(), seed), precision, CPU)


@pytest.fixture
def output_of(make_image, precision):
    """(network) -> what it makes of one picture."""
    image = make_image(3, 24, 19)
    return lambda network: upscaled(network, precision, image)


def upscaled(network, precision, image):
    return s2.upscale(Model("tiny", network.config, precision, network), image, 2).image


def tensors(network):
    return [*network.parameters(), *network.buffers()]


def test_it_moves_and_says_where_it_is(prepared, output_of):
    network = prepared()
    expected, state = output_of(network), copy.deepcopy(network.state_dict())
    assert network.to("meta") is network
    assert network.device.type == "meta"
    assert {t.device.type for t in tensors(network)} == {"meta"}
    network.to_empty(device="cpu").load_state_dict(state)
    assert network.device == CPU
    assert {t.device for t in tensors(network)} == {CPU}
    assert torch.equal(output_of(network), expected)


def test_it_may_be_made_and_moved_in_inference_mode_and_out_of_it(prepared, output_of):
    """As ComfyUI does: its runs are in inference mode, /free is not."""
    expected = output_of(prepared())
    for made in (False, True):
        with torch.inference_mode(made):
            network = prepared()
        for moved in (False, True, False):
            with torch.inference_mode(moved):
                network._apply(torch.clone)
                assert not any(t.is_inference() for t in tensors(network))
                assert torch.equal(output_of(network), expected)
            assert torch.equal(output_of(network), expected)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_computes_the_same_and_shares_nothing(prepared, output_of, copied):
    network = prepared()
    expected = output_of(network)  # and with it weights in the layout of a library are made
    twin = copied(network)
    own = {t.data_ptr() for t in tensors(network)}
    assert own.isdisjoint(t.data_ptr() for t in tensors(twin))
    assert torch.equal(output_of(twin), expected)
    assert (twin.dtype, twin.device, twin.config) == (network.dtype, CPU, network.config)


def test_a_state_dict_brings_everything_back(prepared, output_of):
    """Also into one that has run, with all that it has kept of its own weights."""
    network = prepared()
    other = copy.deepcopy(network)
    for parameter in other.parameters():
        parameter.mul_(0.5)
    expected = output_of(network)
    assert not torch.equal(output_of(other), expected)
    other.load_state_dict(network.state_dict())
    assert torch.equal(output_of(other), expected)


def test_all_that_it_lists_is_all_that_counts(prepared, output_of):
    network = prepared()
    before = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    listed = {n for n, _ in (*network.named_parameters(), *network.named_buffers())}
    assert listed == before.keys()
    assert not any(t.requires_grad for t in tensors(network))
    output_of(network)
    assert {name: tuple(t.shape) for name, t in network.state_dict().items()} == before


@pytest.mark.parametrize(
    "cast",
    [
        nn.Module.half,
        nn.Module.double,
        lambda network: network.to(torch.bfloat16),
        lambda network: network.to("cpu", torch.float16),
        lambda network: network.type(torch.float64),
    ],
)
def test_no_cast_from_outside_changes_what_is_computed(prepared, output_of, cast):
    network = prepared()
    expected, types = output_of(network), [t.dtype for t in tensors(network)]
    cast(network)
    assert [t.dtype for t in tensors(network)] == types
    assert torch.equal(output_of(network), expected)


def test_a_cast_still_moves(prepared):
    network = prepared()
    types = [t.dtype for t in tensors(network)]
    network.to("meta", torch.float16)
    assert {t.device.type for t in tensors(network)} == {"meta"}
    assert [t.dtype for t in tensors(network)] == types


def layers(kind):
    """A layer of this kind, and the module in it that keeps a prepared weight."""
    weight = torch.randn(24, 16, generator=torch.Generator().manual_seed(0))
    if kind is Linear:
        layer = Linear(weight, torch.ones(24))
        return layer, layer
    layer = QuantizedLinear.of(weight, torch.ones(24))
    return layer, layer.matrix


def by_layer(layer, x):
    return layer.quantized(x.clone()) if isinstance(layer, QuantizedLinear) else layer(x)


@pytest.mark.parametrize("kind", [Linear, QuantizedLinear])
def test_what_is_made_of_a_weight_stays_while_the_weight_does(kind):
    layer, keeper = layers(kind)
    by_layer(layer, torch.ones(32, 16))
    kept = keeper.__dict__["_packed"]
    layer.to("cpu").eval()
    assert keeper.__dict__["_packed"] is kept
    layer.to("meta")
    assert "_packed" not in keeper.__dict__


@pytest.mark.parametrize("kind", [Linear, QuantizedLinear])
def test_new_weights_are_used_at_once(kind):
    layer, _ = layers(kind)
    x = torch.randn(32, 16, generator=torch.Generator().manual_seed(1))
    first = by_layer(layer, x)
    state = {name: -value for name, value in layer.state_dict().items() if "step" not in name}
    layer.load_state_dict(state, strict=False)
    assert torch.allclose(by_layer(layer, x), -first, atol=1e-5)


def test_in_fp32_every_part_is(make_config, make_network, make_image):
    network, image = make_network(make_config()), make_image(3, 24, 19)
    narrow = fold(network, torch.bfloat16, CPU)
    wide = narrow.in_fp32()
    assert {t.dtype for t in tensors(wide)} == {torch.float32}
    assert {t.dtype for t in tensors(narrow)} == {torch.float32, torch.bfloat16}
    difference = upscaled(wide, "fp32", image) - upscaled(narrow, "bf16", image)
    assert 0 < difference.abs().max() < 0.05
