"""Which plan is taken of all that there are."""

import pytest

from swin2sr_core.errors import BudgetError
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.planning.plan import plan_upscale
from swin2sr_core.planning.workspace import WorkspaceSizes

CLASSICAL = Swin2SRConfig(3, 180, (6,) * 6, (6,) * 6, 8, 360, 4, "pixelshuffle", "1conv", 1.0)
LIGHT = Swin2SRConfig(3, 60, (6,) * 4, (6,) * 4, 8, 120, 2, "pixelshuffledirect", "1conv", 1.0)


def least_budget(config, size, strategy, device):
    with pytest.raises(BudgetError) as caught:
        plan_upscale(config, *size, None, "bf16", 1, strategy, device)
    return caught.value.least_bytes or 0


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(("config", "size"), [(CLASSICAL, (512, 768)), (LIGHT, (700, 300))])
def test_tiles_are_taken_only_where_no_exact_plan_fits(config, size, device):
    """Also where tiles would be faster, as they are on a graphics card that is nearly full."""
    least = min(least_budget(config, size, each, device) for each in ("whole", "staged"))
    most = plan_upscale(config, *size, None, "bf16", None, "whole", device).forecast_bytes
    for step in range(40):
        budget = int(least * (1.1 * most / least) ** (step / 39))
        plan = plan_upscale(config, *size, None, "bf16", budget, "auto", device)
        assert all(each.exact for each in plan.passes), budget
    if least_budget(config, size, "tiled", device) < least:
        plan = plan_upscale(config, *size, None, "bf16", least - 1, "auto", device)
        assert plan.strategy == "tiled"


def test_the_picture_between_two_passes_is_in_the_forecast():
    """A pass reads what the one before has made; and writes into the output where that is its own.

    Exact, beside the measured law of a tenth, which hides a term as small as this.
    """
    height, width = 40, 24
    two = plan_upscale(LIGHT, height, width, 4)
    three = plan_upscale(LIGHT, height, width, 3)
    picture = height * width * 3 * 4
    assert [each.other_bytes for each in two.passes] == [16 * picture, 4 * picture]
    assert [each.other_bytes for each in three.passes] == [9 * picture, (9 + 4) * picture]
    batch = plan_upscale(LIGHT, height, width, 2, batch=5)
    assert [each.other_bytes for each in batch.passes] == [4 * 4 * picture]


@pytest.mark.parametrize("config", [CLASSICAL, LIGHT])
def test_int8s_sums_are_there_twice_on_a_graphics_card(config):
    """int32 as they are summed, float32 as they are scaled; on a CPU it is one operation."""
    on_cpu, on_gpu = (WorkspaceSizes.of(config, 10, "int8", each) for each in (False, True))
    rows = 10 * config.window**2
    qkv = on_gpu.heads // rows
    dim, hidden = config.embed_dim, config.mlp_dim
    assert on_gpu.layers == rows * max(dim + dim // 4 + 2 * qkv, 2 * hidden + hidden // 4 + 2 * dim)
    assert on_gpu.layers > on_cpu.layers
    assert on_gpu.kept == on_cpu.kept
