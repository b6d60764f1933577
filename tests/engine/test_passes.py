"""The engine: whole and staged are the network, however it is cut up; progress and precision."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from swin2sr_core import load_model, upscale
from swin2sr_core.engine.canvas import WholeCanvas
from swin2sr_core.engine.passes import Pass
from swin2sr_core.errors import Interrupted
from swin2sr_core.planning.candidates import pass_candidates
from swin2sr_core.planning.costs import stage_margin
from swin2sr_core.planning.pass_plan import PassPlan
from swin2sr_core.planning.plan import plan_upscale
from swin2sr_core.prepared.fold import fold
from swin2sr_core.prepared.folded import FoldedNetwork

CPU = torch.device("cpu")
TOLERANCE = 1e-5

CUTS = ("whole", "whole, smallest", "staged", "staged, smallest")


def make_plan(config, height: int, width: int, cut: str, precision: str = "fp32") -> PassPlan:
    """The default plan of a strategy, or the one whose pieces are single windows: all seams."""
    strategy, _, smallest = cut.partition(", ")
    plan = plan_upscale(
        config, height, width, scale=config.scale, precision=precision, strategy=strategy
    ).passes[0]
    if smallest:
        window = config.window
        plan = replace(plan, band_windows=1, conv_side=window, head_side=window)
        plan = replace(plan, region_side=window) if strategy == "staged" else plan
    return plan


def run(folded: FoldedNetwork, plan: PassPlan, image: Tensor, advance=lambda work: None) -> Tensor:
    config = folded.config
    size = (plan.height * config.scale, plan.width * config.scale)
    output = torch.full((1, config.in_channels, *size), float("nan"))
    Pass(folded, image, WholeCanvas(output), advance).run(plan)
    return output


def difference(a: Tensor, b: Tensor) -> float:
    """The largest; NaN where anything was left out."""
    assert a.shape == b.shape
    return (a - b).abs().max().item()


def psnr(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10((a.double() - b.double()).square().mean().item())


# -- parity ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", CUTS)
def test_every_cut_gives_what_the_official_network_gives(golden, cut):
    config = golden.network.config
    for index, (image, expected) in enumerate(golden.pairs):
        if golden.name.startswith("official") and "smallest" in cut and index:
            continue  # 24 blocks, window by window, region by region: the first is enough
        plan = make_plan(config, *image.shape[-2:], cut)
        assert difference(run(golden.folded, plan, image), expected) <= TOLERANCE


def test_the_official_weights_in_a_few_regions(data_folder, golden):
    if not golden.name.startswith("official"):
        pytest.skip("for the official weights only")
    image, expected = golden.pairs[2]
    plan = make_plan(golden.network.config, *image.shape[-2:], "staged")
    plan = replace(plan, region_side=16, head_side=24, conv_side=16)
    found = run(golden.folded, replace(plan, region_side=32), image)
    assert difference(found, expected) <= TOLERANCE


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 9), (40, 12)], ids=str)
def test_every_cut_is_the_network_at_odd_sizes(tiny_config, make_network, make_image, size):
    network = make_network(tiny_config)
    folded = fold(network, torch.float32, CPU)
    image = make_image(tiny_config.in_channels, *size)
    expected = network(image)
    found = [
        difference(run(folded, make_plan(tiny_config, *size, c), image), expected) for c in CUTS
    ]
    assert max(found) <= TOLERANCE, dict(zip(CUTS, found, strict=True))


@pytest.mark.parametrize("head", ["direct-x2", "nearest-x4-3conv", "aux-x4", "restore-color"])
def test_regions_smaller_than_the_map_leave_no_seam(tiny_configs, make_network, make_image, head):
    """Six by seven windows: with a stage's margin around it, a region is a part of the map."""
    config = replace(tiny_configs[head], depths=(2, 1), num_heads=(2, 3))
    network = make_network(config)
    folded = fold(network, torch.float32, CPU)
    size = (6 * config.window - 3, 7 * config.window)
    image = make_image(config.in_channels, *size)
    plan = make_plan(config, *size, "staged, smallest")
    assert plan.largest_region[0] < plan.padded_height
    assert difference(run(folded, plan, image), network(image)) <= TOLERANCE


@pytest.mark.parametrize("strategy", ["whole", "staged"])
@pytest.mark.parametrize("size", [(9, 25), (33, 17)], ids=str)
def test_every_candidate_of_the_planner_is_exact(
    make_config, make_network, make_image, strategy, size
):
    """Whatever a budget makes the planner choose. A head piece may lie in the padding alone."""
    config = make_config()
    network = make_network(config)
    folded = fold(network, torch.float32, CPU)
    image = make_image(3, *size)
    expected = network(image)
    first = make_plan(config, *size, "whole")
    plans = set(pass_candidates(first, strategy))
    assert len(plans) >= 5
    for plan in plans:
        assert difference(run(folded, plan, image), expected) <= TOLERANCE, plan


# -- the margin of a stage -----------------------------------------------------------------------


def margin_difference(config, make_network, make_image, size) -> float:
    network = make_network(config)
    image = make_image(3, *size)
    plan = make_plan(config, *size, "staged")
    plan = replace(plan, region_side=config.window)
    whole = make_plan(config, *size, "whole")
    folded = fold(network, torch.float32, CPU)
    return difference(run(folded, plan, image), run(folded, whole, image))


MARGINS = [
    {"depths": (1,)},
    {"depths": (2,)},
    {"depths": (2,), "residual": "3conv"},
    {"depths": (3,)},
    {"depths": (4,), "window": 7},
    {"depths": (6,)},
    {"depths": (1, 4)},
]


@pytest.mark.parametrize("changes", MARGINS, ids=str)
def test_the_margin_is_enough_and_one_window_less_is_not(
    make_config, make_network, make_image, monkeypatch, changes
):
    config = make_config(**{"num_heads": (2,) * len(changes["depths"]), **changes})
    size = (9 * config.window, 2 * config.window)
    assert stage_margin(config) % config.window == 0
    assert margin_difference(config, make_network, make_image, size) <= TOLERANCE
    less = stage_margin(config) - config.window
    if less == 0:  # nothing around a region: its convolution has nothing to look at
        return
    monkeypatch.setattr("swin2sr_core.planning.strategies.stage_margin", lambda _: less)
    assert margin_difference(config, make_network, make_image, size) > 10 * TOLERANCE


# -- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", CUTS)
def test_the_image_is_left_as_it_is(tiny_config, make_network, make_image, cut):
    folded = fold(make_network(tiny_config), torch.float32, CPU)
    for size in ((16, 14), (9, 5)):
        image = make_image(tiny_config.in_channels, *size)
        before = image.clone()
        run(folded, make_plan(tiny_config, *size, cut), image)
        assert torch.equal(image, before)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("cut", CUTS)
def test_the_same_plan_gives_the_same_bytes(
    make_config, make_model, make_network, make_image, cut, precision
):
    config = make_config()
    folded = make_model(make_network(config), precision).network
    plan, image = make_plan(config, 37, 29, cut, precision), make_image(3, 37, 29)
    assert torch.equal(run(folded, plan, image), run(folded, plan, image))


@pytest.mark.parametrize("cut", CUTS)
def test_the_work_reported_is_the_work_planned(tiny_config, make_network, make_image, cut):
    folded = fold(make_network(tiny_config), torch.float32, CPU)
    for size in ((5, 3), (40, 25)):
        plan, steps = make_plan(tiny_config, *size, cut), []
        run(folded, plan, make_image(tiny_config.in_channels, *size), steps.append)
        assert sum(steps) == plan.work
        assert min(steps) > 0


def test_work_comes_in_small_steps(make_config, make_network, make_image):
    """A band at a time, so that a user can stop a run."""
    config, steps = make_config(), []
    plan = make_plan(config, 64, 64, "whole, smallest")
    run(fold(make_network(config), torch.float32, CPU), plan, make_image(3, 64, 64), steps.append)
    assert len(steps) >= 64 * sum(config.depths)
    assert max(steps) < plan.work / 50


@pytest.mark.parametrize("cut", CUTS)
def test_what_advance_raises_ends_the_pass_and_spoils_nothing(
    make_config, make_network, make_image, cut
):
    config = make_config()
    network = make_network(config)
    folded, image = fold(network, torch.float32, CPU), make_image(3, 16, 24)
    plan = make_plan(config, 16, 24, cut)
    for after in (1, 3, 7):
        calls = itertools.count(1)

        def stop(work: int, calls=calls, after=after) -> None:
            if next(calls) == after:
                raise Interrupted("stopped")

        with pytest.raises(Interrupted):
            run(folded, plan, image, stop)
        assert next(calls) == after + 1, "the pass went on"
    assert difference(run(folded, plan, image), network(image)) <= TOLERANCE


def test_a_gradient_is_not_kept(make_config, make_network, make_image):
    config = make_config()
    folded = fold(make_network(config), torch.float32, CPU)
    image = make_image(3, 8, 8).requires_grad_()
    with torch.enable_grad():
        output = run(folded, make_plan(config, 8, 8, "whole"), image)
    assert not output.requires_grad and image.grad is None


def test_nothing_global_is_changed(make_config, make_network, make_image, settings_of_torch):
    config, before = make_config(), settings_of_torch()
    during = []
    folded = fold(make_network(config), torch.float32, CPU)
    for cut in CUTS:
        plan = make_plan(config, 16, 16, cut)
        run(folded, plan, make_image(3, 16, 16), lambda _: during.append(settings_of_torch()[:2]))
    assert settings_of_torch() == before
    assert set(during) == {before[:2]}


# -- precision -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", CUTS)
def test_bf16_is_close_to_fp32(tiny_config, make_network, make_model, make_image, cut):
    """Random weights pass every error on; trained ones are kinder."""
    network = make_network(tiny_config)
    image = make_image(tiny_config.in_channels, 25, 30)
    expected = network(image)
    folded = make_model(network, "bf16").network
    found = run(folded, make_plan(tiny_config, 25, 30, cut, "bf16"), image)
    spread = (expected.max() - expected.min()).item()
    assert psnr(found / spread, expected / spread) >= 50


def test_bf16_with_trained_weights(make_image):
    """Smooth shapes with a little noise, through the model that comes with the project."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 48), torch.linspace(0, 9, 56), indexing="ij")
    shapes = torch.stack([torch.sin(x + y), torch.sin(2 * x).sign(), torch.cos(x * y)])
    image = (0.5 + 0.3 * shapes + 0.1 * make_image(3, 48, 56)).clamp(0, 1)
    results = [upscale(load_model("compact-x4", p), image).image for p in ("fp32", "bf16")]
    assert 55 <= psnr(*results) <= 90


@pytest.mark.parametrize("cut", CUTS)
def test_the_hottest_temperature_loses_no_more_than_the_reference(
    make_config, make_network, make_image, cut
):
    """At the clamp (100) exponentials need a running maximum. float64 is the judge."""
    network = make_network(make_config())
    for name, parameter in network.named_parameters():
        if name.endswith("logit_scale"):
            parameter.fill_(math.log(100.0))
    image = make_image(3, 24, 40)
    reference, folded = network(image), fold(network, torch.float32, CPU)
    truth = network.double()(image.double())
    found = run(folded, make_plan(network.config, 24, 40, cut), image)
    allowed = 2 * difference(reference.double(), truth) + 1e-6
    assert difference(found.double(), truth) <= allowed
    assert allowed < 1e-3, "the reference itself is lost: the test shows nothing"
