"""Batches are pure functions of seed, step and process; LR and HR lie on each other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from swin2sr_core.errors import InputError
from swin2sr_headless.cli.evaluation import resized
from swin2sr_headless.degradation.chain import Degradation, Step
from training.config import Data
from training.dataset import MARGIN, Batches, turned


@pytest.fixture(scope="module")
def data(two_pictures):
    return Data(folders=(str(two_pictures),), crop=16)


def same(a, b):
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


def test_shapes_and_range(data):
    low, high = Batches(data, 2, 3, 0)[0]
    assert (low.shape, high.shape) == ((3, 3, 16, 16), (3, 3, 32, 32))
    assert low.dtype == high.dtype == torch.float32
    assert float(low.min()) >= 0 and float(low.max()) <= 1


def test_a_batch_follows_from_seed_step_and_process(data):
    wanted = Batches(data, 2, 2, 7, 1)[5]
    assert same(Batches(data, 2, 2, 7, 1)[5], wanted)
    assert not same(Batches(data, 2, 2, 7, 1)[6], wanted)
    assert not same(Batches(data, 2, 2, 7, 0)[5], wanted)
    assert not same(Batches(data, 2, 2, 8, 1)[5], wanted)


def test_workers_give_the_same_batches(data):
    batches = Batches(data, 2, 2, 7)
    loader = torch.utils.data.DataLoader(batches, None, sampler=range(3), num_workers=1)
    assert all(same(found, batches[step]) for step, found in enumerate(loader))


@pytest.mark.parametrize("scale", [2, 4])
def test_the_low_crop_is_the_reduced_high_crop(data, scale):
    """Where the filter sees no edge: two LR pixels inside."""
    data = replace(data, crop=12 if scale == 4 else 16)
    for step in range(4):
        low, high = (batch[0].permute(1, 2, 0) for batch in Batches(data, scale, 1, 0)[step])
        again = resized((high * 255).round().byte().numpy(), 1 / scale)[2:-2, 2:-2]
        found = (low * 255).round().byte().numpy()[2:-2, 2:-2]
        assert np.abs(found.astype(int) - again).max() <= 1


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_is_degraded(share, tmp_path):
    Image.fromarray(np.full((128, 128, 3), 77, np.uint8)).save(tmp_path / "a.png")
    how = Degradation(share, (Step("noise", (9.0, 9.0)),))
    low, high = Batches(Data((str(tmp_path),), crop=8, degradation=how), 2, 200, 0)[0]
    assert float(high.max()) == float(high.min())
    noisy = low.amax((1, 2, 3)) > low.amin((1, 2, 3))
    assert float(noisy.float().mean()) == pytest.approx(share, abs=0.1)


def test_of_more_candidates_the_most_detailed_is_taken(data):
    def detail(candidates):
        batches = Batches(replace(data, candidates=candidates), 2, 8, 0)
        return sum(float(batches[step][1].diff().abs().mean()) for step in range(6))

    assert detail(4) > detail(1)


def test_held_out_pictures_never_appear(two_pictures, tmp_path):
    for name, grey in (("dark", 10), ("light", 200)):
        Image.fromarray(np.full((128, 128, 3), grey, np.uint8)).save(tmp_path / f"{name}.png")
    batches = Batches(Data((str(tmp_path),), exclude=("light",), crop=16), 2, 4, 0)
    assert all(float(batches[step][1].max()) < 0.1 for step in range(8))


def test_the_synthetic_share_is_kept(tmp_path):
    Image.fromarray(np.full((128, 128, 3), 77, np.uint8)).save(tmp_path / "a.png")
    data = Data((str(tmp_path),), crop=8, synthetic=2, synthetic_share=0.25)
    high = torch.cat([Batches(data, 2, 50, 0)[step][1] for step in range(4)])
    photographs = (high * 255).round().eq(77).flatten(1).all(1)
    assert 0.65 < float(photographs.float().mean()) < 0.85


def test_the_flat_share_is_one_color(data):
    high = torch.cat([Batches(replace(data, flat_share=0.5), 2, 50, 0)[step][1] for step in (0, 1)])
    flat = (high == high[:, :, :1, :1]).flatten(1).all(1)
    assert 0.35 < float(flat.float().mean()) < 0.65


def test_crops_at_a_border_are_reduced_as_the_border_is(tmp_path):
    """The square that a crop is cut from ends there: its first pixel is that of the whole."""
    side = 2 * (16 + 2 * MARGIN)
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    data = Data((str(tmp_path),), crop=16, border_share=1.0)
    wanted = [turned(noise, turn) for turn in range(8)]
    corners = {each[:2, :2].tobytes() for each in wanted}
    low, high = Batches(data, 2, 60, 0)[0]
    pixels = (high.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    at_corner = [i for i, each in enumerate(pixels) if each[:2, :2].tobytes() in corners]
    assert at_corner
    whole = {resized(each, 0.5)[:16, :16].tobytes() for each in wanted}
    made = (low.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    assert all(made[i].tobytes() in whole for i in at_corner)


def test_ragged_batches_are_a_little_smaller(data):
    ragged = replace(data, ragged_share=0.5)
    batches = [Batches(ragged, 2, 1, 0)[step] for step in range(24)]
    sides = [side for low, _ in batches for side in low.shape[2:]]
    assert min(sides) >= 16 - 7
    assert 0.2 < np.mean([side < 16 for side in sides]) < 0.7
    assert all(high.shape[2:] == (2 * low.shape[2], 2 * low.shape[3]) for low, high in batches)


def test_a_folder_without_pictures_of_use_is_told(tmp_path):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=f"at least {2 * (16 + 2 * MARGIN)} x"):
        Batches(Data((str(tmp_path),), crop=16), 2, 1, 0)
    with pytest.raises(InputError, match="say how many pictures are to be drawn"):
        Batches(Data(synthetic_share=1.0), 2, 1, 0)


def test_the_eight_turns_are_all_different_and_lose_nothing():
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    found = {turned(pixels, turn).tobytes() for turn in range(8)}
    assert len(found) == 8
    assert all(sorted(each) == sorted(pixels.tobytes()) for each in found)
    assert turned(pixels, 0).tobytes() == pixels.tobytes()
