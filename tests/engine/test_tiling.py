"""The tiled strategy: its geometry is exact, its pictures are close."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import swin2sr_core as s2
from swin2sr_core.engine.tiling import blend_weights
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.models.model import build_model
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.planning.candidates import pass_candidates
from swin2sr_core.planning.choices import BLENDS
from swin2sr_core.planning.strategies import Tiled, Whole
from swin2sr_core.planning.tiles import TileAxis

WINDOW = 8

axes = st.builds(
    lambda full, overlap, room: TileAxis.cover(
        full * WINDOW, (overlap + room) * WINDOW, overlap * WINDOW, WINDOW
    ),
    full=st.integers(1, 200),
    overlap=st.integers(0, 8),
    room=st.integers(1, 60),
)


@pytest.fixture(scope="module")
def model():
    config = s2.Swin2SRConfig(3, 24, (2, 2), (2, 4), 8, 48, 2, "pixelshuffledirect", "1conv", 1.0)
    torch.manual_seed(3)
    return build_model("tiny", config, Swin2SR(config).state_dict(), "fp32", torch.device("cpu"))


@given(st.integers(1, 300), st.integers(0, 8), st.integers(1, 60))
def test_tiles_are_equal_aligned_and_overlap_enough(full, overlap, room):
    full, tile, overlap = full * WINDOW, (overlap + room) * WINDOW, overlap * WINDOW
    axis = TileAxis.cover(full, tile, overlap, WINDOW)
    assert axis.size <= max(tile, WINDOW)
    assert axis.size % WINDOW == 0
    assert all(start % WINDOW == 0 for start in axis.starts)
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.size == full
    steps = [b - a for a, b in zip(axis.starts, axis.starts[1:], strict=False)]
    assert all(0 < step <= axis.size - overlap for step in steps)


@pytest.mark.parametrize("blend", BLENDS)
@given(axis=axes, scale=st.integers(1, 4))
def test_weights_sum_to_one_everywhere(axis, scale, blend):
    overlap = axis.size - max(
        (b - a for a, b in zip(axis.starts, axis.starts[1:], strict=False)), default=axis.size
    )
    weights = blend_weights(axis, overlap, scale, blend)
    total = torch.zeros((axis.starts[-1] + axis.size) * scale)
    for start, weight in zip(axis.starts, weights, strict=True):
        total[start * scale : (start + axis.size) * scale] += weight
    assert torch.allclose(total, torch.ones_like(total), atol=1e-5)
    assert bool((weights >= 0).all())


def test_weights_are_smooth_and_zero_in_the_context():
    axis = TileAxis.cover(800, 256, 32, WINDOW)
    for weight in blend_weights(axis, 32, 4, "gaussian")[1:-1]:
        assert float(weight[: 32 * 4 // 4].abs().max()) == 0
        assert float(weight.diff().abs().max()) < 2 * torch.pi / 2 / (32 * 4 / 2)


def test_one_tile_is_the_whole_image(model):
    image = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    tiled = s2.make_plan(model, 40, 56, 2, strategy="tiled", tile=64)
    whole = s2.upscale(model, image, 2).image
    assert torch.equal(s2.upscale(model, image, plan=tiled).image, whole)


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("size", [(96, 96), (61, 117)])
def test_tiles_come_close_to_the_whole_image(model, size, blend):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    plan = s2.make_plan(model, *size, 2, strategy="tiled", tile=64, overlap=32, blend=blend)
    assert plan.strategy == "tiled"
    done = []
    result = s2.upscale(model, image, plan=plan, progress=lambda d, t: done.append((d, t)))
    assert done[-1] == (plan.work, plan.work)
    difference = result.image - s2.upscale(model, image, 2).image
    assert float(difference.abs().max()) < 2 / 255
    assert float(difference.square().mean()) < 10**-6.5


def test_a_tile_off_the_window_grid_is_rounded_with_a_note(model):
    plan = s2.plan_upscale(model.config, 300, 300, 2, strategy="tiled", tile=100, overlap=30)
    (step,) = plan.passes
    assert isinstance(step, Tiled)
    assert (step.tile_side, step.overlap) == (104, 32)
    assert "tile 100 became 104" in plan.notes[1]
    assert "overlap 30 became 32" in plan.notes[0]


def test_auto_tiles_only_what_fits_in_no_other_way(model):
    exact = s2.plan_upscale(model.config, 512, 512, 2, strategy="whole")
    generous = s2.plan_upscale(model.config, 512, 512, 2, budget_bytes=exact.forecast_bytes)
    assert generous.strategy == "whole"
    first = exact.passes[0]
    assert isinstance(first, Whole)
    candidates = pass_candidates(first, "auto")
    least = min(each.total_bytes for each in candidates if each.strategy != "tiled")
    tight = s2.plan_upscale(model.config, 512, 512, 2, budget_bytes=least - 1)
    assert tight.strategy == "tiled"
    assert tight.forecast_bytes <= least - 1


def test_a_seam_shows_without_overlap(model):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    plan = s2.make_plan(model, 64, 64, 2, strategy="tiled", tile=32, overlap=0)
    seam = s2.upscale(model, image, plan=plan).image
    step = dataclasses.replace(plan.passes[0], overlap=16)
    blended = s2.upscale(model, image, plan=dataclasses.replace(plan, passes=(step,))).image
    whole = s2.upscale(model, image, 2).image
    assert float((seam - whole).abs().max()) > float((blended - whole).abs().max())


@pytest.mark.parametrize("batch", [2, 3, 4])
def test_small_tiles_run_several_at_once_and_give_the_same(model, batch):
    """As many as one band has room for; the last group may be smaller."""
    image = torch.rand(1, 3, 72, 72, generator=torch.Generator().manual_seed(1))
    plan = s2.make_plan(model, 72, 72, 2, strategy="tiled", tile=40, overlap=16)
    results, (step,) = [], plan.passes
    assert isinstance(step, Tiled)
    for windows in (1, 25 * batch):
        step = dataclasses.replace(step, band_windows=windows)
        with PeakMeter() as meter:
            results.append(
                s2.upscale(model, image, plan=dataclasses.replace(plan, passes=(step,))).image
            )
        assert meter.peak == pytest.approx(step.total_bytes, rel=0.1)
    assert len(step.tiles) == 9 and step.tile_plan.batch == batch
    assert float((results[0] - results[1]).abs().max()) < 1e-5
