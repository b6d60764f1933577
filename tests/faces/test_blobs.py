"""Masks as regions: connected pieces, and whom a painted dab means."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swin2sr_core.faces import Face, mask_blobs, touches_mask


def drawn(text: str) -> torch.Tensor:
    return torch.tensor([[float(c == "#") for c in line.strip()] for line in text.split()])


@pytest.mark.parametrize(
    ("picture", "boxes"),
    [
        ("... ...", []),
        ("### ###", [(0, 0, 3, 2)]),
        ("#..# #..# ####", [(0, 0, 4, 3)]),
        ("#... .#.. ..#. ...#", [(0, 0, 4, 4)]),
        ("#.#. .... ##.#", [(0, 0, 1, 1), (2, 0, 3, 1), (0, 2, 2, 3), (3, 2, 4, 3)]),
        ("##### #...# #.#.# #...# #####", [(0, 0, 5, 5), (2, 2, 3, 3)]),
        ("#.#.# #.#.# ##### ..... ####.", [(0, 0, 5, 3), (0, 4, 4, 5)]),
    ],
)
def test_pieces_touch_at_sides_and_corners(picture, boxes):
    found = {(f.x0, f.y0, f.x1, f.y1) for f in mask_blobs(drawn(picture))}
    assert found == set(boxes)


def flood(mask):
    """The same by walking from pixel to pixel: slow and plain."""
    left = {(int(y), int(x)) for y, x in (mask >= 0.5).nonzero()}
    boxes = set()
    while left:
        todo, piece = [left.pop()], []
        while todo:
            y, x = todo.pop()
            piece.append((y, x))
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            todo += near
        ys, xs = zip(*piece, strict=True)
        boxes.add((min(xs), min(ys), max(xs) + 1, max(ys) + 1))
    return boxes


@given(seed=st.integers(0, 2**31), density=st.floats(0.1, 0.9))
def test_any_mask_as_a_walk_from_pixel_to_pixel_finds_it(seed, density):
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.rand(13, 17, generator=generator) < density).float()
    assert {(f.x0, f.y0, f.x1, f.y1) for f in mask_blobs(mask)} == flood(mask)


def test_half_painted_counts_and_less_does_not():
    assert len(mask_blobs(torch.full((4, 4), 0.5))) == 1
    assert mask_blobs(torch.full((4, 4), 0.49)) == []


def test_a_dab_means_the_face_in_whose_middle_it_is():
    mask = torch.zeros(100, 100)
    mask[48:52, 48:52] = 1
    assert touches_mask(Face(30, 30, 70, 70), mask)
    assert not touches_mask(Face(45, 45, 100, 100), mask), "only in the corner of the box"
    assert not touches_mask(Face(0, 0, 20, 20), mask)
    assert touches_mask(Face(48.2, 49.6, 48.9, 49.9), mask), "smaller than a pixel"
