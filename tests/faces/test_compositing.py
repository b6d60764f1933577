"""Blending: weights that are convex and of no order, the seam, and patches at their own place."""

import itertools
import math

import pytest
import torch

from swin2sr_core import InputError
from swin2sr_core.faces import Compositor, Grid
from swin2sr_core.faces.compositing import match_color, ramp
from swin2sr_core.pictures.resize import resize
from swin2sr_core.planning.tiles import Box

CPU = torch.device("cpu")


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def blended(base, targets, patches, order=None, **settings):
    compositor = Compositor(base, targets, **settings)
    for index in order or range(len(targets)):
        compositor.add(index, patches[index])
    return compositor


# -- weights ---------------------------------------------------------------------------------------


def test_a_ramp_is_a_raised_cosine_in_both_directions():
    weights = ramp(Box(10, 20, 50, 60), Box(0, 0, 100, 100), 0.25, CPU)
    assert weights.shape == (40, 40)
    assert torch.equal(weights[10:30, 10:30], torch.ones(20, 20))
    expected = 0.5 - 0.5 * math.cos(math.pi * 3.5 / 10)
    assert weights[3, 20].item() == pytest.approx(expected)
    assert weights[20, 36].item() == pytest.approx(expected)
    assert weights[3, 3].item() == pytest.approx(expected**2)
    assert 0 < weights.min() < 0.001


def test_no_fall_at_the_border_of_the_picture():
    weights = ramp(Box(0, 0, 40, 40), Box(0, 0, 100, 40), 0.25, CPU)
    assert torch.equal(weights[:30], torch.ones(30, 40))
    assert weights[39, 0] < 0.01


def test_without_feather_the_edge_is_hard():
    assert torch.equal(ramp(Box(5, 5, 9, 9), Box(0, 0, 20, 20), 0, CPU), torch.ones(4, 4))


OVERLAPPING = [Box(4, 4, 40, 40), Box(20, 10, 60, 50), Box(30, 30, 70, 70), Box(80, 80, 90, 90)]


def test_overlapping_weights_are_convex_and_as_strong_as_the_strongest():
    base = torch.zeros(1, 100, 100)
    compositor = Compositor(base, OVERLAPPING)
    total = torch.zeros(100, 100)
    most = torch.zeros(100, 100)
    for index, target in enumerate(OVERLAPPING):
        weights = compositor.weights(index)
        assert weights.min() >= 0
        total[target.rows, target.columns] += weights
        own = ramp(target, Box(0, 0, 100, 100), 0.2, CPU)
        place = most[target.rows, target.columns]
        place.copy_(torch.maximum(place, own))
    assert torch.allclose(total, most, atol=1e-6)
    assert total.max() <= 1 + 1e-6


def test_the_order_of_patches_changes_nothing():
    base = noise(3, 100, 100)
    patches = [noise(3, b.height, b.width, seed=i + 1) for i, b in enumerate(OVERLAPPING)]
    expected = blended(base, OVERLAPPING, patches)
    for order in itertools.permutations(range(4)):
        found = blended(base, OVERLAPPING, patches, order)
        assert (found.output - expected.output).abs().max() < 1e-6
        assert (found.mask - expected.mask).abs().max() < 1e-6


def test_outside_of_the_mask_nothing_changes_by_a_single_bit():
    base = noise(3, 100, 100)
    before = base.clone()
    patches = [noise(3, b.height, b.width, seed=i + 1) for i, b in enumerate(OVERLAPPING)]
    made = blended(base, OVERLAPPING, patches, strength=0.6)
    outside = made.mask == 0
    assert outside.any()
    assert torch.equal(made.output[:, outside], base[:, outside])
    assert torch.equal(base, before)
    assert made.mask.max() <= 0.6 + 1e-6


def test_the_mask_is_the_exact_weight():
    """Blending white into black shows it."""
    base = torch.zeros(1, 100, 100)
    patches = [torch.ones(1, b.height, b.width) for b in OVERLAPPING]
    made = blended(base, OVERLAPPING, patches, strength=0.7)
    assert (made.output[0] - made.mask).abs().max() < 1e-6


def test_strength_is_linear():
    base = noise(3, 60, 60)
    target, patch = [Box(10, 10, 50, 50)], [noise(3, 40, 40, seed=5)]
    whole = blended(base, target, patch).output - base
    for strength in (0.1, 0.25, 0.5, 0.9):
        part = blended(base, target, patch, strength=strength).output - base
        assert (part - strength * whole).abs().max() < 1e-6
    assert torch.equal(blended(base, target, patch, strength=0.0).output, base)


def test_two_identical_targets_equal_one():
    base, target, patch = noise(3, 60, 60), Box(10, 10, 50, 50), noise(3, 40, 40, seed=5)
    one = blended(base, [target], [patch])
    two = blended(base, [target, target], [patch, patch])
    assert (one.output - two.output).abs().max() < 1e-6
    assert (one.mask - two.mask).abs().max() < 1e-6


def gradients(image):
    return image.diff(dim=-1), image.diff(dim=-2)


def test_the_seam_is_no_steeper_than_the_weights_allow():
    base = resize(noise(1, 3, 12, 12), 96, 96)[0].clamp(0, 1)
    refined = (base + 0.2 * resize(noise(1, 3, 12, 12, seed=3), 96, 96)[0]).clamp(0, 1)
    target = Box(16, 20, 80, 84)
    made = blended(base, [target], [refined[:, target.rows, target.columns]])
    m = made.mask
    for axis, (g_out, g_base, g_new, g_m) in enumerate(
        zip(*map(gradients, (made.output, base, refined, m)), strict=True)
    ):
        near = m[:, :-1] if axis == 0 else m[:-1, :]
        excess = (g_out - ((1 - near) * g_base + near * g_new)).abs().max()
        bound = g_m.abs().max() * (refined - base).abs().max() + 1e-6
        assert excess <= bound
        assert excess > 0.1 * bound, "a bound that is never approached tests nothing"


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"feather": 0.6}, "feather must be from 0 to 0.5"), ({"strength": 1.1}, "strength must be")],
)
def test_values_out_of_range_are_told(settings, words):
    with pytest.raises(InputError, match=words):
        Compositor(torch.zeros(1, 8, 8), [], **settings)


# -- the grid --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "output"),
    [((10, 20), (40, 80)), ((101, 67), (252, 168)), ((5, 7), (5, 7)), ((67, 101), (33, 50))],
)
def test_equal_scales_pass_also_where_a_pixel_was_rounded(size, output):
    grid = Grid(*size, *output)
    assert grid.scale == pytest.approx(sum(output) / sum(size))


@pytest.mark.parametrize("output", [(40, 60), (40, 84), (45, 80), (20, 80)])
def test_unlike_scales_are_told(output):
    with pytest.raises(InputError, match="expected the same"):
        Grid(10, 20, *output)


@pytest.mark.parametrize("output", [(192, 256), (96, 128), (131, 175), (48, 64), (30, 40)])
def test_a_patch_lies_where_the_whole_picture_has_it(output):
    """What a network would make of a crop, cut out of what it would make of the whole."""
    whole = resize(noise(1, 3, 48, 64), 192, 256)
    grid = Grid(48, 64, *output)
    expected = resize(whole, *output)[0].clamp(0, 1)
    crop, area = Box(8, 16, 40, 56), Box(20, 30, 28, 41)
    made = whole[0, :, 4 * 8 : 4 * 40, 4 * 16 : 4 * 56]
    target = grid.target(area)
    patch = grid.patch(made.clamp(0, 1) * 1.0, crop, target)
    assert patch.shape == (3, target.height, target.width)
    clamped = resize(whole.clamp(0, 1), *output)[0].clamp(0, 1)
    assert (patch - clamped[:, target.rows, target.columns]).abs().max() < 2e-6
    assert (expected - clamped).abs().max() < 0.5


def test_a_target_holds_its_whole_area():
    grid = Grid(48, 64, 131, 175)
    target = grid.target(Box(10, 11, 20, 33))
    assert target.y0 <= 10 * grid.scale_y < target.y0 + 1
    assert target.x1 - 1 < 33 * grid.scale_x <= target.x1
    assert grid.target(Box(0, 0, 48, 64)) == Box(0, 0, 131, 175)


# -- colour ----------------------------------------------------------------------------------------


def test_matched_colour_has_the_means_of_the_base_and_the_detail_of_the_patch():
    base = 0.3 + 0.2 * resize(noise(1, 3, 3, 3), 128, 128)[0]
    detail = 0.1 * (noise(3, 128, 128, seed=2) - 0.5)
    shifted = base + detail + torch.tensor([0.1, -0.05, 0.02])[:, None, None]
    matched = match_color(shifted, base, 4)
    assert (matched - (base + detail)).abs().max() < 0.02
    assert (shifted - (base + detail)).abs().max() > 0.09


@pytest.mark.parametrize("scale", [1, 4])
def test_colour_is_matched_by_what_16_pixels_of_the_input_still_show(scale):
    """Stripes of 8 input pixels are detail at every scale: they stay those of the patch."""
    columns = torch.arange(128 * scale)
    stripes = ((columns // (4 * scale)) % 2).float().expand(3, 128 * scale, -1)
    patch = torch.full_like(stripes, 0.5)
    matched = match_color(patch, 0.4 + 0.2 * stripes, scale)
    assert (matched - patch).abs().max() < 0.04
