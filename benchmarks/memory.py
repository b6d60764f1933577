"""Peak live tensor bytes, measured, beside the plan's forecast; and how both grow with the image.

    python benchmarks/memory.py [--blocks 1] [--json]
    python benchmarks/memory.py --fit
    python benchmarks/memory.py --staged 614
    python benchmarks/memory.py --staged 2048 --sizes 4096 --lightweight

The feature maps of a network of few blocks are as large as those of the whole one, so --blocks
(per stage; the classical network has 6) shortens the run without changing the peak.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import replace

import torch

from swin2sr_core.engine.canvas import WholeCanvas
from swin2sr_core.engine.passes import Pass
from swin2sr_core.engine.tiling import TiledPass
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.models.model import Model, build_model
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.planning.plan import plan_upscale

CLASSICAL = Swin2SRConfig(3, 180, (6,) * 6, (6,) * 6, 8, 360, 4, "pixelshuffle", "1conv", 1.0)
LIGHTWEIGHT = Swin2SRConfig(
    3, 60, (6,) * 4, (6,) * 4, 8, 120, 2, "pixelshuffledirect", "1conv", 1.0
)


def random_model(config: Swin2SRConfig, precision: str) -> Model:
    """A network of `config` with random weights."""
    torch.manual_seed(0)
    state = Swin2SR(config).state_dict()
    return build_model("random", config, state, precision, torch.device("cpu"))


def measure(model: Model, size: int, strategy: str) -> dict[str, object]:
    """Run one size x size image and compare its peak with the forecast."""
    step = plan_upscale(
        model.config, size, size, model.scale, model.precision, strategy=strategy
    ).passes[0]
    image = torch.rand(1, 3, size, size)
    started = time.perf_counter()
    with PeakMeter() as meter:
        output = torch.empty(1, 3, size * model.scale, size * model.scale)
        kind = TiledPass if strategy == "tiled" else Pass
        kind(model.network, image, output, lambda work: None).run(step)
    return {
        "size": size,
        "channels": model.config.embed_dim,
        "head": model.config.head,
        "precision": model.precision,
        "strategy": strategy,
        "region": getattr(step, "region_side", 0),
        "measured_mib": round(meter.peak / 2**20, 1),
        "forecast_mib": round(step.total_bytes / 2**20, 1),
        "ratio": round(step.total_bytes / meter.peak, 4),
        "device_mib": round((meter.peak - step.total_bytes + step.forecast_bytes) / 2**20, 1),
        "seconds": round(time.perf_counter() - started, 2),
    }


def staged_on_a_device(mib: int, sizes: list[int], config: Swin2SRConfig) -> None:
    """What *staged* holds on a device with `mib` MiB to give, as planned for a GPU.

    Everything is in one memory here, so the host's part of the plan is subtracted.
    """
    model = random_model(fewer_blocks(config, 1, 2), "bf16")
    scale = model.scale
    for size in sizes:
        step = plan_upscale(
            model.config, size, size, scale, "bf16", mib << 20, "staged", device_type="cuda"
        ).passes[0]
        image = torch.rand(1, 3, size, size)
        with PeakMeter() as meter:
            output = torch.empty(1, 3, size * scale, size * scale)
            Pass(model.network, image, WholeCanvas(output), lambda work: None).run(step)
        print(
            f"{size:>5} px, {step.pieces}: {meter.peak / 2**20:8.1f} MiB in all, "
            f"{step.host_bytes / 2**20:8.1f} on the host, so "
            f"{(meter.peak - step.host_bytes) / 2**20:7.1f} on the device; forecast "
            f"{step.forecast_bytes / 2**20:7.1f}",
            flush=True,
        )


def fewer_blocks(config: Swin2SRConfig, stages: int, blocks: int) -> Swin2SRConfig:
    """The same network with `blocks` blocks in each of `stages` stages."""
    return replace(config, depths=(blocks,) * stages, num_heads=config.num_heads[:stages])


def forecasts(blocks: int) -> list[dict[str, object]]:
    """The table of forecast against measured peak."""
    rows = []
    for config, sizes in ((CLASSICAL, (128, 300, 512)), (LIGHTWEIGHT, (128, 300, 512))):
        for precision in ("fp32", "bf16"):
            model = random_model(fewer_blocks(config, 1, blocks), precision)
            for size in sizes:
                for strategy in ("whole", "staged", "tiled"):
                    rows.append(measure(model, size, strategy))
                    print(json.dumps(rows[-1]), flush=True)
    return rows


def fit() -> None:
    """Exponents of time and memory against pixels, over 64 to 512 px; 1 is linear."""
    model = random_model(fewer_blocks(CLASSICAL, 2, 2), "bf16")
    measure(model, 64, "whole")
    points = []
    for size in (64, 128, 256, 512):
        rows = [measure(model, size, "whole") for _ in range(3)]
        seconds = sorted(float(str(row["seconds"])) for row in rows)[1]
        points.append((size * size, seconds, float(str(rows[0]["measured_mib"]))))
        print(f"{size:>5} px  {seconds:8.2f} s  {points[-1][2]:8.1f} MiB", flush=True)
    for name, column in (("time", 1), ("memory", 2)):
        print(f"exponent of {name}: {_slope([(p[0], p[column]) for p in points]):.3f}")


def _slope(points: list[tuple[float, float]]) -> float:
    """Least squares of log(y) against log(x)."""
    x = [math.log(a) for a, _ in points]
    y = [math.log(max(b, 1e-9)) for _, b in points]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    top = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return top / sum((a - mean_x) ** 2 for a in x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--staged", type=int, metavar="MIB")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 1536])
    parser.add_argument("--lightweight", action="store_true", help="for --staged: not classical")
    args = parser.parse_args()
    if args.staged:
        staged_on_a_device(args.staged, args.sizes, LIGHTWEIGHT if args.lightweight else CLASSICAL)
        return
    if args.fit:
        fit()
        return
    ratios = [float(str(row["ratio"])) for row in forecasts(args.blocks)]
    errors = [100 * abs(ratio - 1) for ratio in ratios]
    print(
        f"{len(ratios)} combinations, error of the forecast: worst {max(errors):.1f} %, "
        f"median {statistics.median(errors):.1f} %"
    )


if __name__ == "__main__":
    main()
