"""Compare Images: what the page gets to show is what came in."""

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def compare(node_list):
    """(before, after) -> what the page is told."""
    node = next(n for n in node_list if n.GET_SCHEMA().node_id == "Swin2SR_Compare")
    return lambda before, after: node.EXECUTE_NORMALIZED(before=before, after=after).ui


@pytest.fixture
def opened(pack):
    """(file as the page knows it) -> its pixels."""

    def open_(file):
        assert file["type"] == "temp"
        with Image.open(
            pack("nodes.host").temp_folder() / file["subfolder"] / file["filename"]
        ) as f:
            return np.asarray(f)

    return open_


def test_the_usual_result_of_compare_nodes(compare, make_picture):
    told = compare(make_picture(8, 8, batch=2), make_picture(32, 32, batch=3))
    assert {name: len(files) for name, files in told.items()} == {"a_images": 2, "b_images": 3}
    every = [file["filename"] for files in told.values() for file in files]
    assert len(set(every)) == 5
    assert all(set(f) == {"filename", "subfolder", "type"} for fs in told.values() for f in fs)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_eight_bits_there_and_back(channels, compare, opened):
    steps = torch.arange(256).reshape(1, 16, 16, 1).expand(-1, -1, -1, channels)
    told = compare(steps / 255, torch.zeros(1, 1, 1, 3))
    pixels = opened(told["a_images"][0]).reshape(16, 16, channels)
    assert np.array_equal(pixels, steps[0].numpy())


def test_values_beyond_the_range_are_cut_off(compare, opened):
    told = compare(torch.tensor([-1.0, 0.5, 2.0]).reshape(1, 1, 1, 3), torch.zeros(1, 1, 1, 3))
    assert opened(told["a_images"][0]).tolist() == [[[0, 128, 255]]]


def test_two_runs_do_not_overwrite_one_another(compare, opened, make_picture):
    first, second = (compare(make_picture(4, 4, seed=s), make_picture(4, 4)) for s in (1, 2))
    one, two = (opened(told["a_images"][0]) for told in (first, second))
    assert not np.array_equal(one, two)


def test_what_is_no_picture_is_told(compare, pack, make_picture):
    errors = pack("swin2sr_core.errors")
    with pytest.raises(errors.InputError, match="B x H x W x C"):
        compare(torch.zeros(4, 4, 2), make_picture(4, 4))
    broken = make_picture(4, 4)
    broken[0, 1, 2, 0] = torch.nan
    with pytest.raises(errors.InputError, match=r"x=2, y=1"):
        compare(make_picture(4, 4), broken)


def test_inputs_are_left_alone(compare, make_picture):
    before, after = make_picture(8, 8) * 2 - 0.5, make_picture(4, 4)
    kept = before.clone()
    compare(before, after)
    assert torch.equal(before, kept)


def test_cancelling_between_pictures(compare, pack, make_picture):
    mm = pack("nodes.host").mm
    mm.interrupt_current_processing(True)
    with pytest.raises(mm.InterruptProcessingException):
        compare(make_picture(4, 4), make_picture(4, 4))
