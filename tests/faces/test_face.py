"""Which faces are refined: clipped, filtered, counted, in an order of their own."""

import math
import random

import pytest

from swin2sr_core import InputError
from swin2sr_core.faces import Face, select_faces


def reasons(skipped):
    return [each.reason for each in skipped]


def test_the_largest_come_first_whatever_order_they_come_in():
    faces = [Face(0, 0, 8, 8), Face(20, 5, 40, 30), Face(20, 40, 28, 48), Face(5, 40, 13, 48)]
    for _ in range(5):
        random.shuffle(faces)
        kept, skipped = select_faces(faces, 60, 60)
        assert [(f.x0, f.y0) for f in kept] == [(20, 5), (0, 0), (5, 40), (20, 40)]
        assert skipped == []


def test_every_reason_has_its_words():
    faces = [
        Face(0, 0, 30, 30),
        Face(1, 1, 28, 28),
        Face(0, 40, 11, 50),
        Face(30, 30, 50, 50, score=0.41),
        Face(70, 0, 90, 20),
        Face(5, 5, 5, 20),
        Face(40, 2, 60, 21),
    ]
    kept, skipped = select_faces(
        faces, 60, 60, min_face=16, max_faces=1, score=0.7, wanted=lambda f: f.x0 < 40
    )
    assert kept == [Face(0, 0, 30, 30)]
    assert sorted(reasons(skipped)) == sorted(
        ["more than 1", "11 px", "score 0.41", "outside", "no size", "not in the mask"]
    )


def test_a_face_at_the_border_is_cut_off_before_it_is_measured():
    kept, skipped = select_faces([Face(-40, 10, 8, 30), Face(50, 50, 99, 99)], 60, 60, min_face=16)
    assert [(f.x0, f.y0, f.x1, f.y1) for f in kept] == [(0, 10, 8, 30)]
    assert reasons(skipped) == ["10 px"]


def test_after_the_cut_they_are_in_order_again():
    kept, _ = select_faces([Face(-90, 0, 10, 40), Face(30, 0, 55, 30)], 60, 60)
    assert [f.x0 for f in kept] == [30, 0]


def test_a_line_of_text_is_as_large_as_it_is_long():
    kept, _ = select_faces([Face(0, 0, 50, 6)], 60, 60, min_face=16)
    assert len(kept) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_coordinates_that_are_no_numbers_are_told(bad):
    with pytest.raises(InputError, match="expected finite numbers"):
        select_faces([Face(0, bad, 8, 8)], 60, 60)
    with pytest.raises(InputError, match="expected finite numbers"):
        select_faces([Face(0, 0, 8, 8, score=bad)], 60, 60)


def test_scaling_there_and_back_is_the_identity():
    face = Face(1, 2, 9, 12, 0.5, ((2, 4), (8, 4), (5, 7), (3, 10), (7, 10)))
    assert face.scaled(4, 2).scaled(0.25, 0.5) == face
    assert (face.size, face.area) == (10, 80)
