"""What a fused kernel takes: its forecast against what is alive at the fullest moment of a run."""

import ctypes
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from swin2sr_core.engine.canvas import WholeCanvas
from swin2sr_core.engine.passes import Pass
from swin2sr_core.engine.tiling import TiledPass
from swin2sr_core.kernels import choice, library, setting
from swin2sr_core.kernels.packing import pack
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.planning.forecast import ELEMENT_BYTES
from swin2sr_core.planning.plan import plan_upscale
from swin2sr_core.planning.workspace import scratch_bytes
from swin2sr_core.prepared.precision import prepare

CPU = torch.device("cpu")
LIGHT = Swin2SRConfig(3, 60, (2,), (6,), 8, 120, 2, "pixelshuffledirect", "1conv", 1.0)
CONFIGS = {
    "lightweight": LIGHT,
    "classical": replace(LIGHT, embed_dim=180, mlp_dim=360, scale=4, head="pixelshuffle"),
    "deep": replace(LIGHT, depths=(4, 4), num_heads=(6, 6)),
}


@pytest.fixture
def automatic(native, monkeypatch):
    """As on a computer where the library has been built, whatever else it does."""
    if native.name == "bf16 AMX":
        pytest.skip("minutes, in plain C++; its maps are those of the other kernel in bf16")
    monkeypatch.setenv(setting.VARIABLE, "auto")
    monkeypatch.setattr(library, "loaded", lambda: SimpleNamespace(kernels=(native,)))
    monkeypatch.setattr(choice, "_SLOWER", math.inf)
    return native


@pytest.mark.parametrize("strategy", ["whole", "staged", "tiled"])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_forecast_is_within_a_tenth_of_the_measured_peak(automatic, name, strategy):
    """Packed weights included; the threads' memory is no tensor's, and is looked at below."""
    config, precision = CONFIGS[name], automatic.precision
    size = (80, 120) if name == "classical" else (133, 160)
    threads = setting.kernel_threads("cpu", precision, config)
    request = (config, *size, config.scale, precision, None, strategy)
    step = plan_upscale(*request, tile=96, kernel_threads=threads).passes[0]
    if strategy == "staged":
        step = replace(step, region_side=6 * config.window)
    torch.manual_seed(0)
    network = prepare(Swin2SR(config), precision, CPU)
    image = torch.rand(1, 3, *size)
    kind = TiledPass if strategy == "tiled" else Pass
    with PeakMeter() as meter:
        output = torch.empty(1, 3, size[0] * config.scale, size[1] * config.scale)
        for _ in range(2):  # from the second picture on the packed weights are there all the time
            kind(network, image, WholeCanvas(output), lambda work: None).run(step)
    assert choice.chosen(network).name == automatic.name
    scratch = threads * scratch_bytes(config, ELEMENT_BYTES[precision])
    assert step.total_bytes - scratch == pytest.approx(meter.peak, rel=0.1)


@pytest.mark.parametrize("name", ["lightweight", "classical"])
def test_a_threads_memory_is_what_the_plan_says(native, name):
    config = CONFIGS[name]
    block = prepare(Swin2SR(config), native.precision, CPU).stages[0].blocks[0]
    arguments = pack(block, native).arguments[0]
    needed = 4 * native.scratch(ctypes.byref(arguments))
    planned = scratch_bytes(config, ELEMENT_BYTES[native.precision])
    filled = 0.2 if native.depth > 1 else 0.05  # products of whole registers need zeros
    assert planned == pytest.approx(needed, rel=filled)


def test_only_what_it_can_run_is_planned_with_it(automatic):
    assert setting.kernel_threads("cpu", automatic.precision, LIGHT) >= 1
    assert setting.kernel_threads("cuda", automatic.precision, LIGHT) == 0
    assert setting.kernel_threads("cpu", "fp16", LIGHT) == 0
    assert setting.kernel_threads("cpu", automatic.precision, replace(LIGHT, window=9)) == 0
