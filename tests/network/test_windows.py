"""Windows: there and back, every pixel once, and masks and indices as a naive loop makes them."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from swin2sr_core.network.windows import (
    MapRegion,
    attention_masks,
    axis_count,
    merge,
    partition,
    position_bias,
    relative_coordinates,
    relative_index,
    window_groups,
)

WINDOWS = ((8, 4), (7, 3), (4, 2), (5, 2))


def numbered(height: int, width: int) -> torch.Tensor:
    """A map whose every pixel is its own number: 1 H W 1."""
    return torch.arange(height * width).view(1, height, width, 1)


# -- partition and merge ---------------------------------------------------------------------------


@given(
    batch=st.integers(1, 3),
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    window=st.integers(1, 8),
    channels=st.integers(1, 3),
)
@settings(max_examples=50)
def test_merge_undoes_partition_and_partition_undoes_merge(batch, rows, columns, window, channels):
    height, width = rows * window, columns * window
    feature_map = torch.arange(batch * height * width * channels)
    feature_map = feature_map.view(batch, height, width, channels)
    windows = partition(feature_map, window)
    assert windows.shape == (batch * rows * columns, window**2, channels)
    assert torch.equal(merge(windows, window, height, width), feature_map)
    assert torch.equal(partition(merge(windows, window, height, width), window), windows)


def test_a_window_holds_neighbours_in_reading_order():
    windows = partition(numbered(4, 6), 2)[..., 0]
    assert windows[0].tolist() == [0, 1, 6, 7]
    assert windows[1].tolist() == [2, 3, 8, 9]
    assert windows[3].tolist() == [12, 13, 18, 19]


# -- window groups: the whole map ------------------------------------------------------------------


@pytest.mark.parametrize(("window", "shift"), WINDOWS)
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (3, 1), (2, 2), (3, 5)])
def test_groups_of_the_whole_map_are_its_windows(window, shift, shifted, rows, columns):
    """Every pixel lies in exactly one window, and the windows are those of the rolled map."""
    shift = shift if shifted else 0
    height, width = rows * window, columns * window
    groups = window_groups(MapRegion.whole(height, width), window, shift)
    found = torch.cat([index for _, index in groups])
    assert sorted(found.flatten().tolist()) == list(range(height * width))
    rolled = partition(numbered(height, width).roll((-shift, -shift), (1, 2)), window)[..., 0]
    assert {tuple(w) for w in found.tolist()} == {tuple(w) for w in rolled.tolist()}


@pytest.mark.parametrize("size", [(8, 8), (8, 24), (24, 8), (24, 32)])
def test_a_plain_block_has_one_kind_of_window(size):
    groups = window_groups(MapRegion.whole(*size), 8, 0)
    assert [kind for kind, _ in groups] == [0]


def naive_masks(height: int, width: int, window: int, shift: int) -> dict[tuple, torch.Tensor]:
    """Per shifted window, its pixels -> tokens x tokens: as Swin does it, with a labelled image.

    The map is cut into nine rectangles by the slices at -window and -shift on both axes, the labels
    are taken through the same partition, and pairs of different labels are masked.
    """
    labels = torch.zeros(1, height, width, 1)
    cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for number, (rows, columns) in enumerate(itertools.product(cuts, cuts)):
        labels[:, rows, columns] = number
    pixels = partition(numbered(height, width).roll((-shift, -shift), (1, 2)), window)[..., 0]
    tokens = partition(labels, window)[..., 0]
    masked = (tokens[:, :, None] != tokens[:, None, :]).float() * -100
    return {tuple(w): mask for w, mask in zip(pixels.tolist(), masked, strict=True)}


@pytest.mark.parametrize(("window", "shift"), WINDOWS)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (3, 1), (2, 2), (3, 4)])
def test_the_mask_of_each_kind_is_the_naive_one(window, shift, rows, columns):
    height, width = rows * window, columns * window
    expected = naive_masks(height, width, window, shift)
    masks = attention_masks(window, shift)
    for kind, index in window_groups(MapRegion.whole(height, width), window, shift):
        for pixels in index.tolist():
            assert torch.equal(masks[kind], expected[tuple(pixels)])


def test_only_the_last_row_and_column_are_masked():
    """The others must not pay for a mask."""
    counts = {k: len(i) for k, i in window_groups(MapRegion.whole(40, 56), 8, 4)}
    assert counts == {0: 4 * 6, 1: 4, 2: 6, 3: 1}


def test_masks_are_symmetric_and_leave_a_pixel_to_itself():
    masks = attention_masks(8, 4, offset=-7.0)
    assert torch.equal(masks, masks.transpose(1, 2))
    assert masks.diagonal(dim1=1, dim2=2).abs().sum() == 0
    assert not masks[0].any()
    assert set(masks.unique().tolist()) == {0.0, -7.0}


# -- window groups: regions ------------------------------------------------------------------------

WINDOW, SHIFT, MAP = 8, 4, (48, 64)
REGIONS = [
    MapRegion(top, left, height, width, *MAP)
    for top, height in ((0, 24), (16, 24), (24, 24), (-8, 24), (40, 16), (0, 48))
    for left, width in ((0, 24), (24, 24), (-8, 32), (56, 16), (0, 64))
]


def to_map(index: torch.Tensor, region: MapRegion) -> torch.Tensor:
    """Indices into a region's rows -> indices into the map's."""
    row = (index // region.width + region.top) % region.map_height
    column = (index % region.width + region.left) % region.map_width
    return row * region.map_width + column


@pytest.mark.parametrize("shift", [0, SHIFT])
@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_windows_of_a_region_are_windows_of_the_map(region, shift):
    """Same pixels, same order, same kind: what is computed there is what the whole map computes."""
    whole = window_groups(MapRegion.whole(*MAP), WINDOW, shift)
    kinds = {tuple(w): kind for kind, index in whole for w in index.tolist()}
    for kind, index in window_groups(region, WINDOW, shift):
        for window in to_map(index.long(), region).tolist():
            assert kinds[tuple(window)] == kind


@pytest.mark.parametrize("shift", [0, SHIFT])
@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_a_region_is_covered_but_for_half_a_window_at_its_edges(region, shift):
    index = torch.cat([index for _, index in window_groups(region, WINDOW, shift)]).flatten()
    assert len(index.unique()) == len(index), "a pixel lies in two windows"
    covered = torch.zeros(region.height * region.width, dtype=torch.bool)
    covered[index.long()] = True
    covered = covered.view(region.height, region.width)
    rows = _inside(region.height, region.map_height, shift)
    columns = _inside(region.width, region.map_width, shift)
    expected = torch.zeros_like(covered)
    expected[rows, columns] = True
    assert torch.equal(covered, expected)


def _inside(size: int, map_size: int, shift: int) -> slice:
    if shift == 0 or size == map_size:
        return slice(0, size)
    return slice(shift, size - (WINDOW - shift))


@pytest.mark.parametrize("shift", [0, SHIFT])
@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_the_count_along_an_axis_is_what_the_groups_hold(region, shift):
    rows = axis_count(region.height, region.map_height, WINDOW, shift)
    columns = axis_count(region.width, region.map_width, WINDOW, shift)
    groups = window_groups(region, WINDOW, shift)
    assert sum(len(index) for _, index in groups) == rows * columns
    assert all(len(index) for _, index in groups)


# -- relative positions ----------------------------------------------------------------------------


@pytest.mark.parametrize("window", [2, 3, 7, 8])
def test_index_and_coordinates_are_those_of_a_double_loop(window):
    """Swin V2: sign(d) * log2(1 + 8*|d|/(w-1)) / log2(8) for the offset d of two pixels."""
    index, coordinates = relative_index(window), relative_coordinates(window)
    assert index.shape == (window**2, window**2)
    assert coordinates.shape == ((2 * window - 1) ** 2, 2)
    pixels = list(itertools.product(range(window), range(window)))
    for i, (y, x) in enumerate(pixels):
        for j, (v, u) in enumerate(pixels):
            expected = [_log_spaced(y - v, window), _log_spaced(x - u, window)]
            assert coordinates[index[i, j]].tolist() == pytest.approx(expected, abs=1e-6)


def _log_spaced(offset: int, window: int) -> float:
    scaled = abs(offset) / (window - 1) * 8
    return math.copysign(math.log2(scaled + 1) / math.log2(8), offset)


def test_every_offset_has_its_own_row():
    index = relative_index(8)
    assert sorted(index.unique().tolist()) == list(range(15**2))
    assert len(index.diagonal().unique()) == 1


def test_the_position_bias_is_per_head_and_between_0_and_16():
    generator = torch.Generator().manual_seed(0)
    mlp = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3, bias=False))
    mlp.requires_grad_(False)
    for parameter in mlp.parameters():
        parameter.normal_(generator=generator)
    bias = position_bias(mlp, 4)
    assert bias.shape == (3, 16, 16)
    assert bias.min() > 0 and bias.max() < 16
    assert bias.std() > 1
    table = mlp(relative_coordinates(4))
    for head, i, j in itertools.product(range(3), (0, 5, 15), (0, 3, 12)):
        logit = table[relative_index(4)[i, j], head].item()
        assert bias[head, i, j].item() == pytest.approx(16 / (1 + math.exp(-logit)), rel=1e-5)


def test_the_position_bias_depends_on_the_offset_alone():
    mlp = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1, bias=False))
    bias = position_bias(mlp.requires_grad_(False), 4)[0].view(4, 4, 4, 4)
    assert torch.equal(bias[:3, :3, :3, :3], bias[1:, 1:, 1:, 1:])
    assert not torch.equal(bias[:3, :, :3, :], bias[1:, :, :3, :])


def test_a_window_of_one_pixel_has_one_offset():
    assert relative_coordinates(1).tolist() == [[0.0, 0.0]]
    assert relative_index(1).tolist() == [[0]]
