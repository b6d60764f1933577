"""Regions: what holds for any boxes, and when two become one."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swin2sr_core import InputError
from swin2sr_core.faces import Face, plan_regions, select_faces
from swin2sr_core.faces.planning import CONTEXT
from swin2sr_core.planning.tiles import Box


def inside(inner: Box, outer: Box) -> bool:
    return inner == inner.clipped(outer) and inner.height > 0 and inner.width > 0


def check_region(region, height, width, window):
    picture = Box(0, 0, height, width)
    area, crop = region.area, region.crop
    assert inside(area, crop)
    assert inside(crop, picture)
    assert crop.y0 % window == crop.x0 % window == 0
    for start, first, least in ((crop.y0, area.y0, 0), (crop.x0, area.x0, 0)):
        assert start == least or first - start >= CONTEXT
    for last, end, most in ((area.y1, crop.y1, height), (area.x1, crop.x1, width)):
        assert end == most or (end - last >= CONTEXT and end % window == 0)
    for face in region.faces:
        assert area.x0 <= face.x0 < face.x1 <= area.x1
        assert area.y0 <= face.y0 < face.y1 <= area.y1


@given(seed=st.integers(0, 2**32 - 1), window=st.sampled_from([7, 8]))
@settings(max_examples=200)
def test_ten_random_boxes_200_times_over(seed, window):
    """2,000 boxes: whatever they are, crops lie on the grid, with their context, in the picture."""
    dice = random.Random(seed)
    height, width = dice.randint(1, 700), dice.randint(1, 700)
    boxes = []
    for _ in range(10):
        x, y = dice.uniform(-50, width + 50), dice.uniform(-50, height + 50)
        boxes.append(Face(x, y, x + dice.expovariate(0.02), y + dice.expovariate(0.02)))
    faces, _ = select_faces(boxes, height, width)
    factor = dice.uniform(1, 3)
    regions = plan_regions(faces, height, width, factor, window)
    for region in regions:
        check_region(region, height, width, window)
    assert sorted(f for r in regions for f in map(repr, r.faces)) == sorted(map(repr, set(faces)))
    shuffled = dice.sample(faces, len(faces))
    assert plan_regions(shuffled, height, width, factor, window) == regions
    assert plan_regions(faces + faces, height, width, factor, window) == regions


def test_an_area_is_the_box_grown_about_its_centre():
    (region,) = plan_regions([Face(40, 50, 60, 80)], 200, 200, 1.5)
    assert region.area == Box(42, 35, 88, 65)
    assert region.crop == Box(24, 16, 104, 88)


def test_two_that_see_nearly_the_same_become_one():
    one, other = Face(40, 40, 72, 72), Face(44, 42, 76, 74)
    (region,) = plan_regions([one, other], 200, 200)
    assert region.faces == (one, other)
    assert region.area == Box(32, 32, 82, 84)
    assert len(plan_regions([one, Face(100, 40, 132, 72)], 200, 200)) == 2


def test_chains_merge_as_a_whole():
    """Merging makes a crop larger, which may then be nearly the same as another."""
    faces = [Face(40 + 6 * i, 40, 100 + 6 * i, 100) for i in range(6)]
    assert len(plan_regions(faces, 300, 300)) == 1


def test_a_thousand_boxes_are_planned_at_once():
    dice = random.Random(0)
    places = [(dice.uniform(0, 3800), dice.uniform(0, 2100)) for _ in range(1000)]
    faces = [Face(x, y, x + 30, y + 30) for x, y in places]
    regions = plan_regions(faces, 2160, 3840)
    assert sum(len(r.faces) for r in regions) == 1000
    for region in regions:
        check_region(region, 2160, 3840, 8)


def test_a_face_as_large_as_the_picture_is_the_picture():
    (region,) = plan_regions([Face(0, 0, 61, 47)], 47, 61)
    assert region.area == region.crop == Box(0, 0, 47, 61)


def test_a_factor_below_one_is_told():
    with pytest.raises(InputError, match="crop_factor must be at least 1"):
        plan_regions([], 10, 10, 0.5)
    assert plan_regions([], 10, 10) == ()
