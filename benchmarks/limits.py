"""Runs under a limit that the system enforces (RLIMIT_AS, Linux): 1.15 of the peak, and half of it.

    python benchmarks/limits.py [--sizes 64 128 256 512 1024] [--share 1.15 0.5]

Each run has a process of its own. It upscales a small picture first, so that libraries and threads
have their memory; then the address space is limited to what is in use plus `share` times the peak
that was measured for the plan, and the picture is upscaled. The network is as wide as the
lightweight one, with few blocks: the maps are as large as with all of them. Half of the peak is for
`auto`, which has to find another plan.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import torch

import swin2sr_core as s2
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.models.model import build_model
from swin2sr_core.network.network import Swin2SR

CONFIG = s2.Swin2SRConfig(3, 60, (2, 2), (6, 6), 8, 120, 2, "pixelshuffledirect", "1conv", 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--share", type=float, nargs="+", default=[1.15, 0.5])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        strategy, size, share = arguments.one
        print(json.dumps(limited(strategy, int(size), float(share))))
        return
    print("strategy  size   peak MiB   limit   outcome")
    for share in arguments.share:
        for strategy in ("whole", "staged", "tiled", "auto") if share >= 1 else ("auto",):
            for size in arguments.sizes:
                show(strategy, size, share)


def show(strategy: str, size: int, share: float) -> None:
    command = [sys.executable, __file__, "--one", strategy, str(size), str(share)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        outcome = f"failed: {result.stderr.strip().splitlines()[-1][:120]}"
        print(f"{strategy:<8}{size:>6}{'':>11}{share:>8}   {outcome}", flush=True)
        return
    row = json.loads(result.stdout)
    print(
        f"{strategy:<8}{size:>6}{row['peak'] / 2**20:>11.1f}{share:>8}   {row['ended']}, "
        f"difference {row['difference']:.1e}, {row['steps']} step(s) down, {row['seconds']:.2f} s",
        flush=True,
    )


def limited(strategy: str, size: int, share: float) -> dict[str, object]:
    """One run in this process, which is limited from then on."""
    import resource

    from swin2sr_core.machine.host_memory import _statm

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build_model("few", CONFIG, Swin2SR(CONFIG).state_dict(), "fp32", torch.device("cpu"))
    image = torch.rand(1, 3, size, size)
    plan = s2.make_plan(model, size, size, 2, strategy=strategy)
    with PeakMeter() as meter:
        expected = s2.upscale(model, image, plan=plan).image
    in_use = _statm()
    assert in_use is not None
    most = in_use[0] + int(meter.peak * share)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    again = plan if share >= 1 else None
    result = s2.upscale(model, image, 2, plan=again)
    return {
        "peak": meter.peak,
        "ended": result.report.next_plan.strategy,
        "difference": float((result.image - expected).abs().max()),
        "steps": len(result.report.fallbacks),
        "seconds": result.report.seconds,
    }


if __name__ == "__main__":
    main()
