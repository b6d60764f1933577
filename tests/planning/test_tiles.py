"""Boxes: cutting leaves no pixel out and none twice; the other moves do what they say."""

from hypothesis import given
from hypothesis import strategies as st

from swin2sr_core.planning.tiles import Box, split


@st.composite
def boxes(draw, low: int = -20, high: int = 40) -> Box:
    y, x = draw(st.integers(low, high)), draw(st.integers(low, high))
    return Box(y, x, y + draw(st.integers(1, 30)), x + draw(st.integers(1, 30)))


def pixels(box: Box) -> set[tuple[int, int]]:
    return {(y, x) for y in range(box.y0, box.y1) for x in range(box.x0, box.x1)}


@given(box=boxes(), rows=st.integers(1, 12), columns=st.integers(1, 12))
def test_pieces_cover_a_box_once(box, rows, columns):
    pieces = split(box, rows, columns)
    assert all(0 < p.height <= rows and 0 < p.width <= columns for p in pieces)
    assert sum(piece.area for piece in pieces) == box.area
    assert set().union(*(pixels(piece) for piece in pieces)) == pixels(box)


@given(box=boxes(), rows=st.integers(1, 12), columns=st.integers(1, 12))
def test_pieces_come_in_reading_order(box, rows, columns):
    corners = [(piece.y0, piece.x0) for piece in split(box, rows, columns)]
    assert corners == sorted(corners)


@given(box=boxes())
def test_a_box_in_one_piece_is_itself(box):
    assert split(box, box.height, box.width) == [box]
    assert split(box, 999, 999) == [box]


@given(box=boxes())
def test_sides_area_and_slices_agree(box):
    assert box.height == box.y1 - box.y0 and box.width == box.x1 - box.x0
    assert box.area == box.height * box.width == len(pixels(box))
    assert (box.rows, box.columns) == (slice(box.y0, box.y1), slice(box.x0, box.x1))


@given(box=boxes(0, 30), margin=st.integers(0, 9))
def test_growing_adds_a_margin_but_never_leaves_the_bounds(box, margin):
    bounds = Box(0, 0, 45, 50)
    box = box.clipped(bounds)
    grown = box.grown(margin, bounds)
    reach = range(-margin, margin + 1)
    near = {(y + dy, x + dx) for y, x in pixels(box) for dy in reach for dx in reach}
    assert pixels(grown) == near & pixels(bounds)


@given(box=boxes(), bounds=boxes())
def test_clipping_keeps_what_both_have(box, bounds):
    assert pixels(box.clipped(bounds)) == pixels(box) & pixels(bounds)


@given(box=boxes(), rows=st.integers(-50, 50), columns=st.integers(-50, 50))
def test_moving_there_and_back_is_nothing(box, rows, columns):
    moved = box.moved(rows, columns)
    assert pixels(moved) == {(y + rows, x + columns) for y, x in pixels(box)}
    assert moved.moved(-rows, -columns) == box


@given(box=boxes(), outer=boxes())
def test_relative_to_counts_from_the_corner(box, outer):
    inner = box.relative_to(outer)
    assert inner.moved(outer.y0, outer.x0) == box
    assert outer.relative_to(outer) == Box(0, 0, outer.height, outer.width)


@given(box=boxes(), factor=st.integers(1, 5))
def test_scaling_makes_a_square_of_every_pixel(box, factor):
    scaled = box.scaled(factor)
    assert {(y // factor, x // factor) for y, x in pixels(scaled)} == pixels(box)
    assert scaled.area == box.area * factor**2


@given(box=boxes(), factor=st.integers(1, 5))
def test_cutting_and_scaling_commute(box, factor):
    pieces = [piece.scaled(factor) for piece in split(box, 7, 5)]
    assert pieces == split(box.scaled(factor), 7 * factor, 5 * factor)
