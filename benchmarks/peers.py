"""Speed beside other implementations of the same network, and beside what limits it.

    python benchmarks/peers.py [--size 128 --size 256] [--repeat 5] [--strategy whole staged]
                               [--kernels reference auto] [--network bundled]
                               [--no-spandrel] [--json FILE]

A network of the classical size (180 channels, six stages of six blocks, pixelshuffle x4) with
random weights, as transformers has it, as spandrel (so ComfyUI) has it, and here. All are in one
process and take turns; medians are compared. Those of transformers and spandrel that are not
installed are left out (without transformers there are no weights); `pip install swin2sr[bench]`.
The bundled network, which no other project has, runs beside its own kernels only.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from swin2sr_core.engine.upscale import make_plan, upscale
from swin2sr_core.kernels.choice import chosen
from swin2sr_core.kernels.setting import SETTINGS, VARIABLE
from swin2sr_core.models.checkpoint import official_names
from swin2sr_core.models.model import Model, build_model, load_model
from swin2sr_core.network.config import infer_config
from swin2sr_headless.benchmarking.cases import Timing, measure_reference, run_turns
from swin2sr_headless.benchmarking.matrix_products import LAYERS, MatrixProducts
from swin2sr_headless.benchmarking.traffic import bytes_per_second

CLASSICAL = {
    "embed_dim": 180,
    "depths": [6] * 6,
    "num_heads": [6] * 6,
    "mlp_ratio": 2.0,
    "window_size": 8,
}


@dataclass
class Contender:
    """Something that takes turns with others: an implementation, or a limit."""

    name: str
    action: Callable[[], object]
    timing: Timing = field(default_factory=Timing)


def official_network(depths: list[int]) -> nn.Module:
    """The official network of the classical size, with random weights, by transformers."""
    from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

    torch.manual_seed(0)
    sizes = CLASSICAL | {"depths": depths, "num_heads": [6] * len(depths)}
    config = Swin2SRConfig(**sizes, upscale=4, upsampler="pixelshuffle", image_size=64)
    return Swin2SRForImageSuperResolution(config).eval()


def spandrel_network(network: nn.Module, depths: list[int]) -> nn.Module | None:
    """The same weights in the network that ComfyUI runs; None if spandrel is not installed."""
    if importlib.util.find_spec("spandrel") is None:
        return None
    from spandrel.architectures.Swin2SR import Swin2SR

    sizes = CLASSICAL | {"depths": depths, "num_heads": [6] * len(depths)}
    made = Swin2SR(**sizes, upscale=4, upsampler="pixelshuffle", img_size=64)
    lacking, unknown = made.load_state_dict(official_names(network.state_dict()), strict=False)
    buffers = {name for name, _ in made.named_buffers()}
    assert not unknown and not set(lacking) - buffers, (lacking, unknown)
    return made.eval()


def our_model(network: nn.Module, precision: str, device: torch.device | None = None) -> Model:
    """The same weights in this project's engine."""
    state = official_names(dict(network.state_dict()))
    config = infer_config({name: tuple(value.shape) for name, value in state.items()})
    return build_model("classical size", config, state, precision, device or torch.device("cpu"))


def contenders(image: Tensor, name: str, args: argparse.Namespace) -> list[Contender]:
    """All of them, warmed up; tells on stderr how far each output is from the first one's."""
    network, made = None, []
    if name == "classical":
        network = official_network(args.depths)
        made = peers("transformers", network, lambda output: output.reconstruction, image)
        other = None if args.no_spandrel else spandrel_network(network, args.depths)
        if other is not None:
            made += peers("spandrel", other, lambda output: output, image)
    for precision in args.precision:
        if network is None:
            made += ours(load_model("compact-x4", precision, image.device), image, args)
        else:
            made += ours(our_model(network, precision, image.device), image, args)
    expected = made[0].action()
    for each in made:
        output = each.action()
        if isinstance(output, Tensor):
            far = float((output.float() - expected.float()).clamp(-1, 1).abs().max())
            print(f"{each.name}: {far:.2g} from {made[0].name}", file=sys.stderr, flush=True)
    return made


def ours(model: Model, image: Tensor, args: argparse.Namespace) -> list[Contender]:
    """This project's engine in each strategy and with each kernel, and what limits it."""
    precision, speed, made = model.precision, bytes_per_second(image.device), []
    os.environ[VARIABLE] = "reference"  # whose products can be seen
    layers = MatrixProducts(LAYERS)
    with layers.watching():
        upscale(model, image)
    limits = measure_reference(model, image, speed)
    for strategy in args.strategy:
        plan = make_plan(model, *image.shape[-2:], strategy=strategy)
        for setting in args.kernels:
            run = with_kernels(setting, lambda p=plan: upscale(model, image, plan=p).image)
            run()
            kernel = chosen(model.network).name.removeprefix(f"{precision} ")
            label = f"ours {precision} {kernel}" + ("" if strategy == "whole" else f" {strategy}")
            made.append(Contender(label, run))
    print(f"traffic {precision}: {limits.traffic:.3f} s at {speed / 1e9:.0f} GB/s", flush=True)
    return [
        *made,
        Contender(f"layers {precision}", layers.replay),
        Contender(f"products {precision}", limits.products.replay),
    ]


def with_kernels(setting: str, action: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """`action`, in which this is what SWIN2SR_KERNELS says."""

    def run() -> Tensor:
        os.environ[VARIABLE] = setting
        return action()

    return run


def peers(
    name: str, network: nn.Module, picture: Callable[[Any], Tensor], image: Tensor
) -> list[Contender]:
    """An implementation in fp32, and in bf16 by autocast (spandrel's masks stay in fp32)."""
    network = network.to(image.device)

    @torch.inference_mode()
    def run(narrow: bool) -> Tensor:
        with torch.autocast(image.device.type, torch.bfloat16, enabled=narrow):
            return picture(network(image)).clamp(0, 1)

    return [
        Contender(f"{name} fp32", lambda: run(False)),
        Contender(f"{name} bf16", lambda: run(True)),
    ]


def measure(size: int, name: str, args: argparse.Namespace) -> list[Contender]:
    """Seconds of each contender for one size x size picture and that network, in turns."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    everyone = contenders(image, name, args)
    turns = [(each.timing, device, each.action) for each in everyone]
    run_turns(turns, args.repeat, lambda done, total: None)
    return everyone


def show(size: int, name: str, everyone: list[Contender]) -> None:
    """A table: seconds, and how many times as fast as the first (the official network) each is."""
    print(f"\n{name} {size}x{size}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    reference = everyone[0].timing.median
    for each in everyone:
        print(
            f"  {each.name:<22}{each.timing.median:8.2f} s  "
            f"({min(each.timing.rounds):.2f} to {max(each.timing.rounds):.2f})"
            f"{reference / each.timing.median:8.2f} times"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, action="append")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--depths", type=int, nargs="+", default=[6] * 6)
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16", "int8"])
    parser.add_argument("--strategy", nargs="+", default=["whole"])
    parser.add_argument("--kernels", nargs="+", default=["auto"], choices=SETTINGS)
    parser.add_argument("--network", default="classical", choices=("classical", "bundled"))
    parser.add_argument(
        "--no-spandrel", action="store_true", help="it takes as long as transformers"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = {}
    for size in args.size or (128, 256):
        results[size] = measure(size, args.network, args)
        show(size, args.network, results[size])
    if args.json:
        document = {
            size: {each.name: each.timing.rounds for each in everyone}
            for size, everyone in results.items()
        }
        args.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
