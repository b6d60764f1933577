"""What a run of Face-Region Refine tells the page."""

import logging

import pytest


@pytest.fixture
def run(pack, put_model, load, make_picture):
    """(regions, strength, min_face) -> one picture of 64x48, of which these are refined."""
    put_model("faces.safetensors", scale=4)
    model, picture = load("faces.safetensors"), make_picture(48, 64)
    faces, core = pack("nodes.face_run"), pack("swin2sr_core.faces")

    def run(regions, strength=1.0, min_face=16):
        choice = faces.Choice("regions", min_face, 0, 0.7, regions)
        return faces.run(model, picture, None, choice, core.RefineSettings(strength=strength))

    return run


def box(side: float, x: float = 8) -> dict[str, float]:
    return {"x": x, "y": 8, "width": side, "height": side}


@pytest.mark.parametrize(
    ("regions", "strength", "expected"),
    [
        ([], 1.0, (0, 0)),
        ([box(20)], 1.0, (1, 0)),
        ([box(20), box(20, 40), box(5, 58)], 1.0, (2, 1)),
        ([box(20)], 0.0, (0, 1)),
    ],
)
def test_the_end_tells_how_many_were_refined_and_left(regions, strength, expected, run, told):
    run(regions, strength)
    _, end, _ = told[-1]
    assert (end["kind"], end["frames"], end["fallbacks"]) == ("faces", 1, [])
    assert (end["count"], end["skipped"]) == expected


def test_one_line_in_the_log(run, told, caplog):
    with caplog.at_level(logging.INFO):
        run([box(20)])
    (line,) = [each for each in caplog.messages if each.startswith("Face-Region Refine")]
    assert "1 faces refined, 0 left, in 1 pictures of 256x192, faces," in line
