"""Speed beside the official network, as the transformers library implements it, in one process.

    python benchmarks/peers.py [--size 128 --size 256] [--repeat 5] [--json]

A network of the classical size (180 channels, six stages of six blocks, pixelshuffle x4) with
random weights. Everything takes turns; medians are compared. Needs `pip install transformers`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch

from swin2sr_core.checkpoint import official_names
from swin2sr_core.config import infer_config
from swin2sr_core.headless.matrix_products import MatrixProducts
from swin2sr_core.model import Model, build_model
from swin2sr_core.upscaling import upscale


def official_network(depths: list[int]) -> torch.nn.Module:
    """The official network of the classical size, with random weights."""
    from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

    torch.manual_seed(0)
    config = Swin2SRConfig(
        embed_dim=180,
        depths=depths,
        num_heads=[6] * len(depths),
        mlp_ratio=2.0,
        upscale=4,
        upsampler="pixelshuffle",
        window_size=8,
        image_size=64,
    )
    return Swin2SRForImageSuperResolution(config).eval()


def our_model(network: torch.nn.Module, precision: str) -> Model:
    """The same weights in this project's engine."""
    state = official_names(dict(network.state_dict()))
    config = infer_config({name: tuple(value.shape) for name, value in state.items()})
    return build_model("classical size", config, state, precision, torch.device("cpu"))


def measure(
    size: int, repeat: int, depths: list[int], precisions: list[str]
) -> dict[str, dict[str, float]]:
    """Median, least and most seconds of each contender for one size x size image."""
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    network = official_network(depths)
    expected = _official(network, image).clamp(0, 1)
    turns: dict[str, Callable[[], object]] = {"official fp32": lambda: _official(network, image)}
    for precision in precisions:
        model = our_model(network, precision)
        products = MatrixProducts()
        with products.watching():
            output = upscale(model, image).image
        difference = float((output - expected).abs().max())
        print(f"{size}: ours {precision} differs by {difference:.2g} at most", file=sys.stderr)
        turns[f"ours {precision}"] = lambda model=model: upscale(model, image)
        turns[f"matrix products {precision}"] = products.replay
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(repeat):
        for name, action in turns.items():
            started = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - started)
    return {
        name: {"median": statistics.median(s), "min": min(s), "max": max(s)}
        for name, s in seconds.items()
    }


@torch.inference_mode()
def _official(network: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    return network(image).reconstruction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, action="append")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--depths", type=int, nargs="+", default=[6] * 6)
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16", "int8"])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results = {}
    for size in args.size or (128, 256):
        results[size] = rows = measure(size, args.repeat, args.depths, args.precision)
        if args.json:
            continue
        print(f"\n{size}x{size}, {torch.get_num_threads()} threads, torch {torch.__version__}")
        reference = rows["official fp32"]["median"]
        for name, row in rows.items():
            print(
                f"  {name:<22}{row['median']:8.2f} s  ({row['min']:.2f} to {row['max']:.2f})"
                f"  official / this {reference / row['median']:6.2f}"
            )
    if args.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
