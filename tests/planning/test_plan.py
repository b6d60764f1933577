"""Plans: pure values, honest forecasts, and a budget that is kept or refused with a number."""

import json
import math
import re
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from swin2sr_core import BudgetError, InputError, Plan, Swin2SRConfig, plan_upscale, upscale
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.network.network import SwinBlock, residual_conv
from swin2sr_core.planning.costs import block_work, conv_work, head_work, matrix_work
from swin2sr_core.planning.request import output_size, pass_count
from swin2sr_core.units import format_bytes

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30

# Networks as wide as the published ones. One short stage has the memory of six long ones.
LIGHT = Swin2SRConfig(3, 60, (2,), (6,), 8, 120, 2, "pixelshuffledirect", "1conv", 1.0)
WIDE = replace(LIGHT, embed_dim=180, mlp_dim=360)
CONFIGS = {
    "light-x2": LIGHT,
    "compact-x4": replace(LIGHT, scale=4),
    "classical-x2": replace(WIDE, head="pixelshuffle"),
    "classical-x4": replace(WIDE, head="pixelshuffle", scale=4),
    "real-x4": replace(WIDE, head="nearest+conv", scale=4),
    "real-x4-3conv": replace(WIDE, head="nearest+conv", scale=4, residual="3conv"),
    "compressed-x4": replace(WIDE, head="pixelshuffle_aux", scale=4),
    "jpeg": replace(WIDE, head="none", scale=1, window=7, img_range=255.0),
    "jpeg-gray": replace(WIDE, head="none", scale=1, window=7, img_range=255.0, in_channels=1),
}
DEEP = replace(LIGHT, depths=(6,) * 4, num_heads=(6,) * 4)


def promised(plan: Plan) -> int:
    """What the plan says will be live at once, wherever: on a CPU both memories are one."""
    return max(each.charged_bytes for each in plan.passes)


# -- a plan is a value ---------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    scale=st.sampled_from([None, 0.5, 1, 2, 3, 4]),
    precision=st.sampled_from(["fp32", "bf16"]),
    strategy=st.sampled_from(["auto", "whole", "staged"]),
    device=st.sampled_from(["cpu", "cuda"]),
)
def test_the_same_question_has_the_same_answer(height, width, scale, precision, strategy, device):
    question = (DEEP, height, width, scale, precision, None, strategy, device)
    plan, again = plan_upscale(*question), plan_upscale(*question)
    assert plan == again and hash(plan) == hash(again) and str(plan) == str(again)
    assert len({plan, again}) == 1
    with pytest.raises(FrozenInstanceError):
        plan.budget_bytes = 3  # pyright: ignore[reportAttributeAccessIssue]


@settings(max_examples=60)
@given(
    height=st.integers(1, 2000),
    width=st.integers(1, 2000),
    scale=st.floats(0.1, 9),
    name=st.sampled_from(["light-x2", "classical-x4", "jpeg"]),
)
def test_passes_lead_from_the_image_to_the_output(height, width, scale, name):
    config = CONFIGS[name]
    scale = min(scale, 1.0) if config.scale == 1 else scale
    plan = plan_upscale(config, height, width, scale)
    assert (plan.passes[0].height, plan.passes[0].width) == (height, width)
    for before, after in zip(plan.passes, plan.passes[1:], strict=False):
        assert after.height == before.height * config.scale
        assert after.width == before.width * config.scale
    reached = config.scale ** len(plan.passes)
    assert reached >= scale * (1 - 1e-9)
    assert len(plan.passes) == 1 or reached / config.scale < scale
    assert plan.output_height == max(1, round(height * scale))
    assert plan.output_width == max(1, round(width * scale))
    assert plan.work == sum(each.work for each in plan.passes)
    assert plan.forecast_bytes == max(each.forecast_bytes for each in plan.passes)
    assert plan.host_bytes == max(each.host_bytes for each in plan.passes)


def test_the_usual_scale_is_four_and_one_for_restoration():
    assert plan_upscale(CONFIGS["light-x2"], 10, 20).scale == 4
    assert plan_upscale(CONFIGS["classical-x4"], 10, 20).scale == 4
    assert plan_upscale(CONFIGS["jpeg"], 10, 20).scale == 1


@pytest.mark.parametrize(
    ("network", "scale", "count"),
    [(2, 0.25, 1), (2, 1, 1), (2, 2, 1), (2, 2.01, 2), (2, 3, 2), (2, 4, 2), (2, 8, 3), (2, 64, 6),
     (3, 3, 1), (3, 9, 2), (3, 27, 3), (4, 4, 1), (4, 4.5, 2), (4, 16, 2), (4, 64, 3)],
)  # fmt: skip
def test_the_network_is_applied_until_the_scale_is_reached(network, scale, count):
    assert pass_count(replace(CONFIGS["classical-x2"], scale=network), scale) == count


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [((3, 5), 4, (12, 20)), ((3, 5), 0.25, (1, 1)),
     ((100, 33), 1.5, (150, 50)), ((1, 1), 0.1, (1, 1))],
)  # fmt: skip
def test_the_output_is_rounded_and_never_empty(size, scale, expected):
    assert output_size(*size, scale) == expected


def test_exact_strategies_are_preferred():
    """Tiles only where nothing exact fits."""
    loose = plan_upscale(DEEP, 512, 512, strategy="auto")
    assert loose.strategy in ("whole", "staged")
    exact = min(promised(plan_upscale(DEEP, 512, 512, strategy=s)) for s in ("whole", "staged"))
    assert plan_upscale(DEEP, 512, 512, budget_bytes=exact).strategy in ("whole", "staged")


@pytest.mark.parametrize("strategy", ["whole", "staged"])
def test_an_asked_for_strategy_is_taken(strategy):
    assert plan_upscale(DEEP, 300, 200, strategy=strategy).strategy == strategy


def test_a_huge_image_can_be_planned():
    plan = plan_upscale(DEEP, 30_000, 20_000, device_type="cuda", budget_bytes=4 * GB)
    assert plan.forecast_bytes <= 4 * GB
    assert plan.strategy != "whole"


# -- the forecast --------------------------------------------------------------------------------

# (config, height, width, scale, precision, strategy, how tight the budget is): in one pass and in
# two, straight into the output and reduced to it, from the fastest plan (0) to the smallest (1).
RUNS = [
    ("light-x2", 40, 30, 2, "fp32", "whole", 1.0),
    ("light-x2", 40, 30, 2, "bf16", "staged", 1.0),
    ("light-x2", 24, 20, 4, "fp32", "whole", 0.0),
    ("light-x2", 24, 20, 4, "bf16", "staged", 0.5),
    ("light-x2", 24, 20, 3, "fp32", "staged", 0.0),
    ("light-x2", 24, 20, 3, "bf16", "whole", 1.0),
    ("compact-x4", 40, 40, 1.5, "fp32", "whole", 1.0),
    ("compact-x4", 40, 40, 1.5, "bf16", "whole", 0.0),
    ("compact-x4", 40, 40, 3.9, "fp32", "whole", 1.0),
    ("compact-x4", 33, 60, 4, "fp32", "staged", 0.5),
    ("classical-x4", 30, 40, 4, "fp32", "whole", 0.5),
    ("classical-x4", 96, 128, 4, "fp32", "whole", 0.0),
    ("classical-x4", 30, 40, 4, "bf16", "staged", 1.0),
    ("real-x4-3conv", 41, 25, 4, "bf16", "staged", 0.5),
    ("compressed-x4", 41, 25, 4, "fp32", "staged", 1.0),
    ("jpeg-gray", 40, 50, 1, "fp32", "staged", 0.5),
    ("jpeg-gray", 40, 50, 1, "bf16", "whole", 1.0),
]

# Maps wider than a piece of a convolution (128 px).
WIDE_RUNS = [
    ("light-x2", 97, 150, 2, "fp32", "whole", 0.0),
    ("light-x2", 97, 150, 2, "bf16", "staged", 0.5),
    ("classical-x2", 97, 150, 2, "fp32", "whole", 0.5),
    ("classical-x2", 97, 150, 2, "fp32", "whole", 0.0),
    ("jpeg", 97, 130, 1, "fp32", "whole", 0.0),
    ("classical-x2", 97, 150, 2, "bf16", "staged", 0.5),
    ("jpeg", 97, 130, 1, "bf16", "whole", 0.0),
]


def budget_of(config, height, width, scale, precision, strategy, tightness: float) -> int:
    """Between what the fastest plan takes (0) and the smallest that works (1)."""
    question = (config, height, width, scale, precision)
    most = promised(plan_upscale(*question, None, strategy))
    least = smallest_budget(*question, strategy)
    return int(most + (least - most) * tightness)


def smallest_budget(config, height, width, scale, precision, strategy) -> int:
    """By halving: not what the error says, which has a test of its own."""
    low, high = 0, promised(plan_upscale(config, height, width, scale, precision, None, strategy))
    while high - low > 64:
        middle = (low + high) // 2
        try:
            plan_upscale(config, height, width, scale, precision, middle, strategy)
            high = middle
        except BudgetError:
            low = middle
    return high


@pytest.mark.parametrize("run", [*RUNS, *WIDE_RUNS], ids=str)
def test_the_forecast_is_the_measured_peak(make_network, make_model, make_image, run):
    """Within a tenth: every tensor that is live at once while one image is upscaled."""
    name, height, width, scale, precision, strategy, tightness = run
    question = (CONFIGS[name], height, width, scale, precision)
    budget = budget_of(*question, strategy, tightness)
    plan = plan_upscale(*question, budget, strategy)
    model = make_model(make_network(CONFIGS[name]), precision)
    image = make_image(CONFIGS[name].in_channels, height, width)
    with PeakMeter() as meter:
        upscale(model, image, scale, plan)
    assert promised(plan) <= budget
    assert meter.peak == pytest.approx(promised(plan), rel=0.1)


def test_the_forecast_counts_all_outputs_of_a_batch(make_network, make_model, make_image):
    """Frames are computed one after the other, but their outputs are there from the start."""
    config = CONFIGS["compact-x4"]
    model = make_model(make_network(config))
    plans = [plan_upscale(config, 32, 48, 4, batch=batch) for batch in (1, 6)]
    peaks = []
    for plan, batch in zip(plans, (1, 6), strict=True):
        with PeakMeter() as meter:
            upscale(model, make_image(3, 32, 48, batch), plan=plan)
        peaks.append(meter.peak)
    outputs = 5 * 3 * (32 * 4) * (48 * 4) * 4
    assert promised(plans[1]) - promised(plans[0]) == outputs
    assert peaks[1] - peaks[0] == pytest.approx(outputs, rel=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("strategy", ["whole", "staged"])
@pytest.mark.parametrize("name", ["light-x2", "classical-x4"])
def test_the_forecast_on_a_gpu(make_network, make_model, make_image, name, strategy):
    """Only what is on the device counts there; pictures and maps in host memory do not."""
    config, precision = CONFIGS[name], "bf16"
    plan = plan_upscale(config, 300, 500, config.scale, precision, None, strategy, "cuda")
    model = make_model(make_network(config), precision, "cuda")
    image = make_image(config.in_channels, 300, 500)
    with PeakMeter("cuda") as meter:
        upscale(model, image, config.scale, plan)
    assert meter.peak == pytest.approx(plan.forecast_bytes, rel=0.1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_staged_needs_on_a_device_is_constant_from_some_size_up(precision):
    sizes = [(2048, 2048), (4096, 2304), (3000, 9000), (12_000, 12_000)]
    plans = [plan_upscale(DEEP, *s, None, precision, None, "staged", "cuda") for s in sizes]
    assert len({plan.passes[0].forecast_bytes for plan in plans}) == 1
    whole = [plan_upscale(DEEP, *s, None, precision, None, "whole", "cuda") for s in sizes]
    assert whole[3].forecast_bytes > 50 * plans[3].passes[0].forecast_bytes


def test_terms_add_up():
    for strategy in ("whole", "staged"):
        plan = plan_upscale(DEEP, 300, 200, strategy=strategy)
        assert sum(plan.forecast.values()) == plan.forecast_bytes
        assert all(size >= 0 for size in plan.forecast.values())


# -- budgets -------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(
    height=st.integers(1, 900),
    width=st.integers(1, 900),
    tightness=st.floats(0, 1),
    name=st.sampled_from(sorted(CONFIGS)),
    precision=st.sampled_from(["fp32", "bf16"]),
    strategy=st.sampled_from(["whole", "staged"]),
)
def test_a_budget_is_kept(height, width, tightness, name, precision, strategy):
    scale = CONFIGS[name].scale
    question = (CONFIGS[name], height, width, scale, precision)
    budget = budget_of(*question, strategy, tightness)
    plan = plan_upscale(*question, budget, strategy)
    assert plan.forecast_bytes <= promised(plan) <= budget
    assert plan.budget_bytes == budget


def test_on_a_gpu_a_budget_is_for_the_device_alone():
    plan = plan_upscale(DEEP, 4000, 4000, None, "bf16", 300 * MB, "staged", "cuda")
    assert plan.forecast_bytes <= 300 * MB < plan.host_bytes


def test_more_memory_is_never_slower():
    budgets = [n * MB for n in (40, 60, 90, 130, 200, 400, 900)]
    costs = [plan_upscale(DEEP, 400, 300, 2, budget_bytes=b).passes[0].cost for b in budgets]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]


def named_budget(error: BudgetError) -> int:
    """The bytes that the error's sentence names last."""
    number, unit = re.findall(r"([\d.]+) (GB|MB|KB|B)\b", str(error))[-1]
    return int(float(number) * {"GB": GB, "MB": MB, "KB": KB, "B": 1}[unit])


SINGLE = [
    ("light-x2", 1, 1, 2),
    ("light-x2", 777, 333, 2),
    ("compact-x4", 2000, 1500, 4),
    ("classical-x4", 64, 64, 4),
    ("jpeg", 640, 480, 1),
]
DOUBLE = [("light-x2", 64, 64, 4), ("light-x2", 300, 200, 3), ("classical-x2", 100, 100, 8)]


def check_named_budget(run, strategy) -> None:
    name, height, width, scale = run
    with pytest.raises(BudgetError, match="smallest budget") as caught:
        plan_upscale(CONFIGS[name], height, width, scale, "fp32", 1, strategy)
    budget = named_budget(caught.value)
    assert promised(plan_upscale(CONFIGS[name], height, width, scale, "fp32", budget, strategy))
    with pytest.raises(BudgetError):
        plan_upscale(CONFIGS[name], height, width, scale, "fp32", int(budget * 0.98), strategy)


@pytest.mark.parametrize("strategy", ["auto", "whole", "staged"])
@pytest.mark.parametrize("run", SINGLE, ids=str)
def test_an_impossible_budget_is_told_with_one_that_works(run, strategy):
    check_named_budget(run, strategy)


@pytest.mark.parametrize("strategy", ["auto", "whole", "staged"])
@pytest.mark.parametrize("run", DOUBLE, ids=str)
def test_an_impossible_budget_of_two_passes_is_told_with_one_that_works(run, strategy):
    check_named_budget(run, strategy)


@pytest.mark.parametrize("budget", [0, -5])
def test_no_memory_at_all_is_no_plan(budget):
    with pytest.raises(BudgetError):
        plan_upscale(LIGHT, 8, 8, budget_bytes=budget)


# -- printing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["whole", "staged"])
def test_it_prints_as_a_table_with_everything_in_it(strategy):
    plan = plan_upscale(LIGHT, 120, 90, 4, "bf16", 500 * MB, strategy)
    text = str(plan)
    for part in ("90x120", "360x480", "2 pass", "bf16", strategy, "budget", "500 MB"):
        assert part in text
    for term, size in plan.forecast.items():
        assert term in text and format_bytes(size) in text
    assert format_bytes(plan.forecast_bytes) in text
    assert max(len(line) for line in text.splitlines()) <= 120


@pytest.mark.parametrize("strategy", ["whole", "staged", "tiled"])
def test_it_survives_json(strategy):
    plan = plan_upscale(LIGHT, 700, 500, 4, "bf16", None, strategy)
    as_json = json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    assert as_json == plan.to_dict()
    assert as_json["strategy"] == strategy and as_json["precision"] == "bf16"
    assert as_json["output_size"] == [2000, 2800]
    assert as_json["forecast_bytes"] == plan.forecast_bytes
    assert sum(as_json["forecast"].values()) == plan.forecast_bytes
    assert [each["input_size"] for each in as_json["passes"]] == [[500, 700], [1000, 1400]]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KB"), (1536, "1.50 KB"), (15 * MB, "15.0 MB"),
     (340 * MB, "340 MB"), (5 * GB // 4, "1.25 GB"), (2000 * GB, "2000 GB")],
)  # fmt: skip
def test_bytes_have_three_digits(size, text):
    assert format_bytes(size) == text


@given(size=st.integers(0, 1 << 45))
def test_bytes_rounded_up_are_no_less(size):
    number, unit = format_bytes(size, up=True).split()
    named = float(number) * {"GB": GB, "MB": MB, "KB": KB, "B": 1}[unit]
    assert size <= named * (1 + 1e-12) <= size * 1.02 + 1


# -- bad arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "needle"),
    [
        ({"height": 0}, "0"),
        ({"width": -3}, "-3"),
        ({"precision": "fp8"}, "fp8"),
        ({"precision": "auto"}, "auto"),
        ({"strategy": "fast"}, "fast"),
        ({"scale": 0}, "scale"),
        ({"scale": -2}, "-2"),
        ({"scale": 65}, "65"),
        ({"scale": math.nan}, "nan"),
        ({"scale": math.inf}, "inf"),
    ],
    ids=str,
)
def test_an_impossible_argument_is_named(changes, needle):
    arguments = {"height": 8, "width": 8, "scale": 4, "precision": "fp32", **changes}
    with pytest.raises(InputError, match=re.escape(needle)):
        plan_upscale(LIGHT, **arguments)


def test_a_restoration_network_does_not_enlarge():
    with pytest.raises(InputError, match="x4"):
        plan_upscale(CONFIGS["jpeg"], 8, 8, 4)


# -- costs ---------------------------------------------------------------------------------------


def counted(call) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


@pytest.mark.parametrize("window", [8, 7])
def test_the_work_of_a_block_is_what_torch_counts(window):
    config = replace(LIGHT, window=window, embed_dim=24, num_heads=(3,), mlp_dim=60)
    block = SwinBlock(24, 3, window, 0, 60)
    features = torch.zeros(1, 2 * window, 3 * window, 24)
    bias = 2 * (2 * window - 1) ** 2 * (2 * 512 + 512 * 3)
    assert counted(lambda: block(features)) - bias == block_work(config) * features[..., 0].numel()


@pytest.mark.parametrize("name", ["light-x2", "real-x4-3conv"])
def test_the_work_of_a_convolution_is_what_torch_counts(name):
    conv, features = residual_conv(CONFIGS[name]), torch.zeros(1, CONFIGS[name].embed_dim, 5, 6)
    assert counted(lambda: conv(features)) == conv_work(CONFIGS[name]) * 30


@pytest.mark.parametrize("name", sorted(CONFIGS))
@pytest.mark.parametrize("size", [(1, 1), (64, 48), (50, 99)], ids=str)
def test_the_work_of_a_plan_is_the_networks(name, size):
    """*whole* computes each pixel once, its body the padding too; *staged* again what is shared."""
    config = CONFIGS[name]
    whole = plan_upscale(config, *size, config.scale, strategy="whole").passes[0]
    head = head_work(config)
    body = matrix_work(config) - head
    assert whole.work == body * whole.bounds.area + head * size[0] * size[1]
    staged = plan_upscale(config, *size, config.scale, strategy="staged").passes[0]
    assert replace(staged, region_side=config.window).work >= whole.work
    assert head > 0 and body > 0
