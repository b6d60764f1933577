"""The plan's forecast against what is really alive at the fullest moment of a run."""

from dataclasses import replace

import pytest
import torch

from swin2sr_core.engine.canvas import WholeCanvas
from swin2sr_core.engine.passes import Pass
from swin2sr_core.engine.tiling import TiledPass
from swin2sr_core.machine.devices import has_native_bf16
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.planning.plan import plan_upscale
from swin2sr_core.prepared.precision import prepare

pytestmark = pytest.mark.usefixtures("reference_kernel")

CPU = torch.device("cpu")
LIGHT = Swin2SRConfig(3, 60, (2,), (6,), 8, 120, 2, "pixelshuffledirect", "1conv", 1.0)
CONFIGS = {
    "lightweight": LIGHT,
    "classical": replace(LIGHT, embed_dim=180, mlp_dim=360, scale=4, head="pixelshuffle"),
    "real-world": replace(LIGHT, scale=4, head="nearest+conv", residual="3conv"),
    "compressed": replace(LIGHT, scale=4, head="pixelshuffle_aux"),
    "jpeg": replace(LIGHT, scale=1, head="none", window=7, img_range=255.0),
}


def measured(config, step, precision):
    torch.manual_seed(0)
    network = prepare(Swin2SR(config), precision, CPU)
    image = torch.rand(1, 3, step.height, step.width)
    with PeakMeter() as meter:
        output = torch.empty(1, 3, step.height * config.scale, step.width * config.scale)
        kind = TiledPass if step.strategy == "tiled" else Pass
        kind(network, image, WholeCanvas(output), lambda work: None).run(step)
    return meter.peak


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("strategy", ["whole", "staged", "tiled"])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_forecast_is_within_a_tenth_of_the_measured_peak(name, strategy, precision):
    config = CONFIGS[name]
    size = (80, 120) if name == "classical" else (133, 160)
    plan = plan_upscale(
        *(config, *size, config.scale, precision),
        strategy=strategy,
        tile=96,
        native_bf16=has_native_bf16(CPU),
    )
    step = plan.passes[0]
    if strategy == "staged":
        step = replace(step, region_side=6 * config.window)
    assert step.total_bytes == pytest.approx(measured(config, step, precision), rel=0.1)


@pytest.mark.parametrize("strategy", ["whole", "staged"])
def test_the_forecast_holds_in_fp16(strategy):
    """A small picture: CPUs without fp16 are slow in it."""
    config = replace(LIGHT, head="pixelshuffle", depths=(1,))
    step = plan_upscale(config, 40, 56, config.scale, "fp16", strategy=strategy).passes[0]
    step = replace(step, band_windows=8, conv_side=24, head_side=24)
    step = replace(step, region_side=24) if strategy == "staged" else step
    assert step.total_bytes == pytest.approx(measured(config, step, "fp16"), rel=0.1)


@pytest.mark.parametrize("name", ["lightweight", "jpeg"])
def test_the_forecast_holds_for_small_bands_and_pieces(name):
    config = CONFIGS[name]
    step = plan_upscale(config, 133, 160, config.scale, strategy="whole").passes[0]
    small = replace(step, band_windows=2, conv_side=16, head_side=16)
    assert small.total_bytes < step.total_bytes
    assert small.total_bytes == pytest.approx(measured(config, small, "fp32"), rel=0.1)


def test_what_staged_holds_on_a_device_does_not_grow():
    config = replace(CONFIGS["classical"], depths=(6,) * 6, num_heads=(6,) * 6)
    budget = 600 << 20
    plans = [
        plan_upscale(config, side, side, 4, "bf16", budget, "staged", "cuda")
        for side in (2048, 4096, 16384)
    ]
    assert len({plan.forecast_bytes for plan in plans}) == 1
    assert plans[0].forecast_bytes <= budget


def test_a_meter_counts_storages_once_and_forgets_the_dead():
    outside = torch.zeros(1000)
    with PeakMeter() as meter:
        a = torch.ones(100)
        view = a.view(10, 10)[2:]
        outside += 1
        assert meter.live == 400
        b = a + 1
        assert meter.live == meter.peak == 800
        del a, view
        assert meter.live == 400
        del b
    assert meter.live == 0
    assert meter.peak == 800
