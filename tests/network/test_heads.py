"""Heads: their sizes and names, and that `reach`, `work` and `peak` are what running them shows."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.network.head_costs import HEAD_COSTS
from swin2sr_core.network.heads import HEADS
from swin2sr_core.prepared.fold import fold

SIDE = 24


def features_of(config, make_image, seed=2, height=SIDE, width=SIDE):
    features = make_image(config.embed_dim, height, width, seed=seed) - 0.5
    return features, make_image(config.in_channels, height, width, seed=seed + 1) - 0.5


def test_every_head_of_the_goldens_is_there():
    assert set(HEADS) == {
        "pixelshuffle",
        "pixelshuffledirect",
        "nearest+conv",
        "pixelshuffle_aux",
        "none",
    }


def test_output_is_scale_times_the_features(tiny_config, make_network, make_image):
    head, network = HEADS[tiny_config.head], make_network(tiny_config)
    features, image = features_of(tiny_config, make_image, height=5, width=9)
    out = head.run(dict(network.named_children()), features, image)
    scale = tiny_config.scale
    assert out.shape == (1, tiny_config.in_channels, 5 * scale, 9 * scale)


def test_features_and_image_are_left_as_they_are(tiny_config, make_network, make_image):
    """The engine hands over views of the map: an in-place head would destroy it."""
    head, network = HEADS[tiny_config.head], make_network(tiny_config)
    features, image = features_of(tiny_config, make_image)
    before = features.clone(), image.clone()
    head.run(dict(network.named_children()), features, image)
    assert torch.equal(features, before[0]) and torch.equal(image, before[1])


def test_the_last_convolution_is_named(tiny_config, make_network):
    head, network = HEADS[tiny_config.head], make_network(tiny_config)
    final = network.get_submodule(head.final)
    assert isinstance(final, torch.nn.Conv2d)
    assert head.final.split(".")[0] in head.build(tiny_config)


def cropped_difference(config, network, features, image, margin: int) -> float:
    """How far the middle 8x8 pixels are from the whole, if the head sees `margin` around them."""
    head, scale = HEADS[config.head], config.scale
    start, end = 8 - margin, 16 + margin
    cut = (..., slice(start, end), slice(start, end))
    inside = slice(margin * scale, (margin + 8) * scale)
    piece = head.run(dict(network.named_children()), features[cut], image[cut])[..., inside, inside]
    middle = slice(8 * scale, 16 * scale)
    whole = head.run(dict(network.named_children()), features, image)[..., middle, middle]
    return (piece - whole).abs().max().item()


def test_the_reach_is_enough_and_one_pixel_less_is_not(tiny_config, make_network, make_image):
    """In double precision, where convolutions differ by far less than a pixel's contribution."""
    network, reach = make_network(tiny_config).double(), HEAD_COSTS[tiny_config.head].reach
    features, image = (each.double() for each in features_of(tiny_config, make_image))
    assert cropped_difference(tiny_config, network, features, image, reach) <= 1e-12
    assert cropped_difference(tiny_config, network, features, image, reach - 1) > 1e-4


def test_work_is_what_torch_counts(tiny_config, make_network, make_image):
    network, head = make_network(tiny_config), HEADS[tiny_config.head]
    features, image = features_of(tiny_config, make_image)
    with FlopCounterMode(display=False) as counter:
        head.run(dict(network.named_children()), features, image)
    assert HEAD_COSTS[tiny_config.head].work(tiny_config) * SIDE**2 == counter.get_total_flops()


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 4), (torch.bfloat16, 2)])
def test_peak_is_what_is_live(tiny_config, make_network, make_image, dtype, size):
    """Within a tenth, for networks of usual width."""
    config = replace(tiny_config, embed_dim=60, depths=(1,), num_heads=(1,), mlp_dim=8)
    head = HEADS[config.head]
    folded = fold(make_network(config), dtype, torch.device("cpu"))
    features, image = features_of(config, make_image)
    features = features.to(dtype).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), PeakMeter() as meter:
        head.run(folded.head, features, image)
    assert meter.peak == pytest.approx(
        HEAD_COSTS[config.head].peak(config, size) * SIDE**2, rel=0.1
    )
