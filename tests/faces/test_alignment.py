"""The way into an aligned face and back: exact for points, nearly so for pixels."""

import math

import pytest
import torch

from swin2sr_core.faces import Similarity, align, unalign
from swin2sr_core.faces.alignment import SIDE, TEMPLATE
from swin2sr_core.pictures.resize import resize
from swin2sr_core.planning.tiles import Box

KNOWN = Similarity(1.7 * math.cos(0.3), 1.7 * math.sin(0.3), 40.0, -25.0)


def test_a_similarity_is_found_again_from_its_points():
    source = [KNOWN.inverse.at(x, y) for x, y in TEMPLATE]
    found = Similarity.between(source, TEMPLATE)
    for name in ("a", "b", "tx", "ty"):
        assert getattr(found, name) == pytest.approx(getattr(KNOWN, name), abs=1e-9)


def test_noisy_points_give_the_best_in_least_squares():
    source = [KNOWN.inverse.at(x + (-1) ** i * 3, y + i) for i, (x, y) in enumerate(TEMPLATE)]
    found = Similarity.between(source, TEMPLATE)

    def error(s):
        return sum(math.dist(s.at(*p), t) ** 2 for p, t in zip(source, TEMPLATE, strict=True))

    for change in (1e-3, -1e-3):
        assert error(found) < error(Similarity(found.a + change, found.b, found.tx, found.ty))
        assert error(found) < error(Similarity(found.a, found.b + change, found.tx, found.ty))
        assert error(found) < error(Similarity(found.a, found.b, found.tx + change, found.ty))


def test_there_and_back_is_the_identity():
    for x, y in ((0, 0), (13.5, 99), (-4, 7)):
        assert KNOWN.inverse.at(*KNOWN.at(x, y)) == pytest.approx((x, y))


def test_points_that_are_all_the_same_have_none():
    assert Similarity.between([(3, 3)] * 5, TEMPLATE) is None


@pytest.mark.parametrize("scale", [0.6, 1.0, 2.5])
def test_a_picture_survives_the_way_into_the_square_and_back(scale):
    """A smooth picture loses next to nothing; a shift by half a pixel would cost ten times that."""
    side = round(SIDE / scale * 1.4)
    picture = resize(torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0)), side, side)
    picture = picture.clamp(0, 1)
    s = Similarity(scale * math.cos(0.2), scale * math.sin(0.2), 0, 0)
    middle = s.at(side / 2, side / 2)
    s = Similarity(s.a, s.b, SIDE / 2 - middle[0], SIDE / 2 - middle[1])
    target = Box(side // 3, side // 3, 2 * side // 3, 2 * side // 3)
    back, weights = unalign(align(picture, s), s, target)
    assert weights.min() == 1, "the middle of the square counts fully"
    assert (back - picture[0, :, target.rows, target.columns]).abs().max() < 0.003


def test_outside_of_the_square_the_weight_is_zero():
    s = Similarity(1, 0, 0, 0)
    _, weights = unalign(torch.ones(1, 3, SIDE, SIDE), s, Box(-20, -20, SIDE + 20, SIDE + 20))
    assert float(weights[:20].max()) == float(weights[:, -20:].max()) == 0
    assert 0 < weights[30, 256] < 1
    assert weights[276, 276] == 1


def test_beyond_the_border_the_picture_is_continued():
    picture = torch.full((1, 3, 64, 64), 0.25)
    aligned = align(picture, Similarity(2, 0, -500, -500))
    assert (aligned - 0.25).abs().max() < 1e-6
