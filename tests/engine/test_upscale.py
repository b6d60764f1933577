"""`upscale`: passes, scales, batches, and what it refuses."""

import dataclasses
import gc
import json
import weakref

import pytest
import torch

import swin2sr_core as s2
from swin2sr_core.planning.plan import plan_upscale

CONFIG = s2.Swin2SRConfig(3, 12, (1, 2), (2, 3), 8, 24, 2, "pixelshuffledirect", "1conv", 1.0)

CONFIG_X4 = dataclasses.replace(CONFIG, scale=4)


@pytest.fixture
def model(make_model, make_network):
    return make_model(make_network(CONFIG))


def picture(height, width, channels=3, batch=1):
    generator = torch.Generator().manual_seed(5)
    return torch.rand(batch, channels, height, width, generator=generator)


@pytest.mark.parametrize("scale", [0.25, 0.5, 1, 1.5, 2, 3, 4])
@pytest.mark.parametrize("size", [(16, 24), (1, 1), (7, 9)])
def test_every_scale_gives_its_size(model, size, scale):
    result = s2.upscale(model, picture(*size), scale)
    expected = tuple(max(1, round(side * scale)) for side in size)
    assert result.image.shape[-2:] == expected
    assert float(result.image.min()) >= 0
    assert float(result.image.max()) <= 1


def test_x4_of_an_x2_network_is_the_network_twice(model):
    image = picture(16, 24)
    twice = s2.upscale(model, s2.upscale(model, image, 2).image, 2).image
    assert torch.equal(s2.upscale(model, image).image, twice)
    assert len(s2.make_plan(model, 16, 24).passes) == 2


def test_a_batch_is_its_frames_and_the_input_stays(model):
    image = picture(9, 17, batch=3)
    before = image.clone()
    together = s2.upscale(model, image, 2).image
    assert torch.equal(image, before)
    for index in range(3):
        assert torch.equal(
            together[index : index + 1], s2.upscale(model, image[index : index + 1], 2).image
        )


def test_restoration_networks_stay_at_x1(make_model, make_network):
    config = dataclasses.replace(CONFIG, scale=1, head="none", window=7, img_range=255.0)
    model = make_model(make_network(config))
    assert s2.upscale(model, picture(10, 12)).image.shape[-2:] == (10, 12)
    with pytest.raises(s2.InputError, match="restores at x1"):
        s2.upscale(model, picture(10, 12), 2)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_pixel_that_is_no_number_is_named(model, bad):
    image = picture(8, 8, batch=2)
    image[1, 2, 3, 5] = bad
    with pytest.raises(s2.InputError, match="x=5, y=3 of frame 1, channel 2"):
        s2.upscale(model, image)


@pytest.mark.parametrize(
    "image",
    [
        torch.rand(3, 8, 8),
        torch.rand(1, 1, 8, 8),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.rand(1, 3, 0, 8),
        torch.rand(0, 3, 8, 8),
    ],
    ids=["three dimensions", "one channel", "integers", "no rows", "no frames"],
)
def test_what_is_no_image_is_refused(model, image):
    with pytest.raises(s2.InputError):
        s2.upscale(model, image)


def test_work_ends_exactly_and_never_goes_back(model):
    seen = []
    plan = s2.make_plan(model, 20, 12, batch=2)
    s2.upscale(model, picture(20, 12, batch=2), plan=plan, progress=lambda *step: seen.append(step))
    assert seen[-1] == (2 * plan.work, 2 * plan.work)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_a_stop_is_obeyed_at_once_and_forgotten(model):
    calls = []

    def stop():
        calls.append(1)
        return len(calls) == 3

    with pytest.raises(s2.Interrupted):
        s2.upscale(model, picture(20, 12), should_stop=stop)
    assert len(calls) == 3
    assert s2.upscale(model, picture(20, 12)).image.shape == (1, 3, 80, 48)


def test_the_report_is_plain(model):
    report = s2.upscale(model, picture(8, 8)).report
    again = json.loads(json.dumps(report.to_dict()))
    assert again["strategy"] == "whole"
    assert again["plan"]["output_size"] == [32, 32]


def test_a_budget_is_kept_or_the_least_one_is_named():
    free = plan_upscale(CONFIG, 300, 400, 2)
    for part in (2, 3, 4):
        budget = free.forecast_bytes // part
        try:
            plan = plan_upscale(CONFIG, 300, 400, 2, budget_bytes=budget)
        except s2.BudgetError as error:
            assert "smallest budget that works is" in str(error)
        else:
            assert plan.forecast_bytes + plan.host_bytes <= budget or plan.strategy == "staged"
            assert plan.passes[0].total_bytes <= budget


def test_plans_are_values():
    assert plan_upscale(CONFIG, 64, 48) == plan_upscale(CONFIG, 64, 48)
    assert hash(plan_upscale(CONFIG, 64, 48)) == hash(plan_upscale(CONFIG, 64, 48))
    assert "feature maps" in str(plan_upscale(CONFIG, 64, 48))


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"scale": 0},
        {"scale": float("nan")},
        {"scale": float("inf")},
        {"precision": "fp13"},
        {"strategy": "fast"},
        {"tile": -8},
        {"blend": "none"},
    ],
    ids=str,
)
def test_impossible_plans_are_refused(change):
    with pytest.raises(s2.InputError):
        plan_upscale(**{"config": CONFIG, "height": 64, "width": 48, **change})


def test_a_network_that_is_exact_reaches_the_output_unchanged(model, make_network):
    """One pass at the network's own scale is the network, clamped: nothing is resized."""
    image = picture(13, 10)
    expected = make_network(CONFIG)(image).clamp(0, 1)
    assert (s2.upscale(model, image, 2).image - expected).abs().max() <= 1e-5


def test_a_smaller_scale_is_the_networks_picture_reduced(model):
    """Antialiased: a reduced picture keeps the mean of the one it comes from."""
    image = picture(24, 32)
    large, small = s2.upscale(model, image, 2).image, s2.upscale(model, image, 0.5).image
    blocks = torch.nn.functional.avg_pool2d(large, 4)
    assert (small.mean((2, 3)) - blocks.mean((2, 3))).abs().max() < 0.01
    assert small.std() < large.std()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_comes_in_and_float32_goes_out(model, dtype):
    image = picture(9, 11).to(dtype)
    result = s2.upscale(model, image, 2).image
    assert result.dtype == torch.float32
    assert torch.equal(result, s2.upscale(model, image.float(), 2).image)


def test_the_layout_in_memory_does_not_matter(model):
    image = picture(12, 10)
    expected = s2.upscale(model, image, 2).image
    channels_last = image.to(memory_format=torch.channels_last)
    mirrored = image.flip(-1).contiguous().flip(-1)
    for same in (channels_last, mirrored, image.transpose(2, 3).contiguous().transpose(2, 3)):
        assert torch.equal(s2.upscale(model, same, 2).image, expected)


def test_no_gradient_is_kept(model):
    image = picture(8, 8).requires_grad_()
    with torch.enable_grad():
        for scale in (1.5, 2, 4):
            assert not s2.upscale(model, image, scale).image.requires_grad


def test_pixels_outside_the_range_are_computed_and_the_output_is_clamped(model):
    result = s2.upscale(model, picture(8, 8) * 5 - 2, 2).image
    assert float(result.min()) >= 0
    assert float(result.max()) <= 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("strategy", ["whole", "staged", "tiled"])
def test_the_same_question_gives_the_same_bytes(make_model, make_network, strategy, precision):
    model = make_model(make_network(CONFIG), precision)
    image = picture(37, 50)
    plan = s2.plan_upscale(CONFIG, 37, 50, 4, precision, strategy=strategy)
    results = [s2.upscale(model, image, plan=plan) for _ in range(2)]
    assert torch.equal(*(result.image for result in results))
    assert results[0].report.strategy == strategy


@pytest.mark.parametrize("strategy", ["whole", "staged"])
def test_a_budget_changes_the_plan_and_not_the_picture(model, strategy):
    image = picture(40, 56)
    expected = s2.upscale(model, image).image
    free = s2.plan_upscale(CONFIG, 40, 56, strategy=strategy)
    plan = s2.plan_upscale(CONFIG, 40, 56, budget_bytes=int(free.forecast_bytes * 0.6))
    assert plan.passes != free.passes
    assert (s2.upscale(model, image, plan=plan).image - expected).abs().max() <= 1e-4


def test_an_impossible_budget_is_refused_before_anything_runs(model):
    seen = []
    with pytest.raises(s2.BudgetError):
        s2.upscale(model, picture(64, 64), budget_bytes=1000, progress=lambda *s: seen.append(s))
    assert not seen


def test_the_image_is_not_touched_by_a_run_that_is_stopped(model):
    image = picture(20, 12)
    before = image.clone()
    with pytest.raises(s2.Interrupted) as caught:
        s2.upscale(model, image, should_stop=lambda: True)
    assert caught.value.exit_code == 130
    assert torch.equal(image, before)


@pytest.mark.parametrize(
    "change",
    [{"height": 10}, {"width": 32}, {"precision": "bf16"}, {"config": CONFIG_X4}],
    ids=["lower", "wider", "precision", "network"],
)
def test_a_plan_for_something_else_is_refused(model, change):
    arguments = {"config": CONFIG, "height": 20, "width": 24, "scale": 2, **change}
    plan = plan_upscale(**arguments)
    with pytest.raises(s2.InputError):
        s2.upscale(model, picture(20, 24), plan=plan)


def test_a_model_is_gone_as_soon_as_nobody_holds_it(make_model, make_network):
    """Not when the garbage collector next looks: memory that nobody needs is given back at once."""
    model = make_model(make_network(CONFIG))
    s2.upscale(model, picture(16, 24), on_piece=lambda piece: None, on_fallback=print)
    there = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert there() is None
    finally:
        gc.enable()


def test_a_callers_autocast_changes_nothing(model):
    image = torch.rand(1, 3, 24, 20, generator=torch.Generator().manual_seed(0))
    expected = s2.upscale(model, image).image
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(s2.upscale(model, image).image, expected)
