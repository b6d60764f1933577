"""Convolutions of compiled kernels: the reference's numbers, in any box, up to any bounds."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swin2sr_core.kernels.convolution import add_conv
from swin2sr_core.kernels.fused import FusedKernel
from swin2sr_core.kernels.packing import can_convolve
from swin2sr_core.machine.devices import DTYPES
from swin2sr_core.network.config import PADDING_MODES
from swin2sr_core.planning.tiles import Box
from swin2sr_core.prepared.folded import MapConv

SIZES = st.integers(1, 120)
SIDES = st.integers(1, 60)


def a_conv(inputs, outputs, dtype, padding_mode: Any = "zeros"):
    torch.manual_seed(inputs)
    conv = torch.nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=padding_mode).to(dtype)
    return MapConv(conv.to(memory_format=torch.channels_last)).requires_grad_(False)


def random_map(*shape, dtype, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def added(add, conv, source, target, box, bounds):
    target = target.clone()
    add(conv, source, target, box, bounds)
    return target


def boxes(draw, outer):
    """A rectangle in `outer` that is not empty."""
    y0, y1 = sorted(draw(st.tuples(*[st.integers(outer.y0, outer.y1 - 1)] * 2)))
    x0, x1 = sorted(draw(st.tuples(*[st.integers(outer.x0, outer.x1 - 1)] * 2)))
    return Box(y0, x0, y1 + 1, x1 + 1)


@st.composite
def places(draw):
    """A map's size, what may be seen of it, and what is computed."""
    height, width = draw(SIDES), draw(SIDES)
    bounds = boxes(draw, Box(0, 0, height, width))
    return height, width, bounds, boxes(draw, bounds)


def assert_right(native, conv, source, target, box, bounds):
    """In fp32 the reference's numbers; in bf16 within one rounding of the exact ones."""
    found = added(FusedKernel(native).add_conv, conv, source, target, box, bounds).double()
    wide = copy.deepcopy(conv).double()
    exact = added(add_conv, wide, source.double(), target.double(), box, bounds)
    rounding = 2.0**-8 if target.dtype == torch.bfloat16 else 1e-5
    assert ((found - exact).abs() <= rounding * exact.abs() + 1e-5).all()
    outside = torch.ones(source.shape[1:3], dtype=torch.bool)
    outside[box.rows, box.columns] = False
    assert torch.equal(found[:, outside], target.double()[:, outside])


@given(
    inputs=SIZES,
    outputs=SIZES,
    place=places(),
    floats=st.booleans(),
    padding_mode=st.sampled_from(PADDING_MODES),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@torch.inference_mode()
def test_it_is_the_convolution(native, inputs, outputs, place, floats, padding_mode):
    height, width, bounds, box = place
    dtype = DTYPES[native.precision]
    source = random_map(2, height, width, inputs, dtype=dtype)
    to = torch.float32 if floats else dtype
    target = random_map(2, height, width, outputs, dtype=to, seed=1)
    conv = a_conv(inputs, outputs, dtype, padding_mode)
    assert_right(native, conv, source, target, box, bounds)


@pytest.mark.parametrize("padding_mode", PADDING_MODES)
@torch.inference_mode()
def test_what_lies_beyond_the_bounds_is_never_read(native, padding_mode):
    dtype = DTYPES[native.precision]
    conv, kernel = a_conv(20, 20, dtype, padding_mode), FusedKernel(native)
    source, target = (random_map(1, 12, 60, 20, dtype=dtype, seed=s) for s in (0, 1))
    bounds = Box(3, 4, 9, 55)
    clean = added(kernel.add_conv, conv, source, target, bounds, bounds)
    spoilt = torch.full_like(source, torch.nan)
    spoilt[:, bounds.rows, bounds.columns] = source[:, bounds.rows, bounds.columns]
    assert torch.equal(added(kernel.add_conv, conv, spoilt, target, bounds, bounds), clean)


@torch.inference_mode()
def test_neither_pieces_nor_threads_change_a_bit(native):
    dtype = DTYPES[native.precision]
    conv, kernel = a_conv(60, 60, dtype), FusedKernel(native)
    source, target = (random_map(1, 37, 101, 60, dtype=dtype, seed=s) for s in (0, 1))
    everything = Box(0, 0, 37, 101)
    before = torch.get_num_threads()
    expected = added(kernel.add_conv, conv, source, target, everything, everything)
    try:
        for threads, side in ((1, 37), (2, 16), (3, 5)):
            torch.set_num_threads(threads)
            pieces = target.clone()
            for y in range(0, 37, side):
                for x in range(0, 101, side):
                    box = Box(y, x, min(y + side, 37), min(x + side, 101))
                    kernel.add_conv(conv, source, pieces, box, everything)
            assert torch.equal(pieces, expected)
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def test_several_convolutions_stay_with_torch(native):
    """The networks with three convolutions behind a stage."""
    dtype = DTYPES[native.precision]
    layers = [torch.nn.Conv2d(8, 2, 3, padding=1), torch.nn.LeakyReLU(), torch.nn.Conv2d(2, 8, 1)]
    conv = MapConv(torch.nn.Sequential(*layers).to(dtype)).requires_grad_(False)
    assert not can_convolve(conv) and conv.reach == 1
    source, target = (random_map(1, 9, 9, 8, dtype=dtype, seed=s) for s in (0, 1))
    place = conv, source, target, Box(0, 0, 9, 9), Box(0, 0, 9, 9)
    assert torch.equal(added(FusedKernel(native).add_conv, *place), added(add_conv, *place))


@torch.inference_mode()
def test_packed_weights_are_dropped_with_the_weights(native):
    dtype = DTYPES[native.precision]
    conv, other = a_conv(8, 8, dtype), a_conv(8, 8, dtype)
    other.load_state_dict({name: -value for name, value in conv.state_dict().items()})
    source = random_map(1, 9, 9, 8, dtype=dtype)
    place = source, torch.zeros_like(source), Box(0, 0, 9, 9), Box(0, 0, 9, 9)
    add = FusedKernel(native).add_conv
    first = added(add, conv, *place)
    conv.load_state_dict(other.state_dict())
    assert torch.equal(added(add, conv, *place), -first)
