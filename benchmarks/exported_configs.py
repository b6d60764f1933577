"""Every official configuration as an ONNX file: nodes, MB, opset, and how far onnxruntime is off.

    python benchmarks/exported_configs.py [MODEL ...] [--only NAME]
    python benchmarks/exported_configs.py --picture PHOTO [MODEL ...]

MODEL: checkpoints or names; the official configurations come with random weights where no MODEL
has theirs. Eight sizes in windows, batches of 1 and 3, noise; fp16 in decibels of the output.
`overflow` is a network whose branches and residual stream leave fp16's range, as in the tests.
With --picture: a whole picture through the file against torch in the same tiles, and exactly.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image

import swin2sr_core as s2
from swin2sr_core.export.contract import Contract
from swin2sr_core.export.session import OnnxSession
from swin2sr_core.export.writing import onnx_bytes
from swin2sr_core.models.catalog import resolve_model
from swin2sr_core.models.checkpoint import load_checkpoint
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.prepared.precision import blocks_of

SIZES = ((1, 1), (1, 2), (3, 1), (2, 2), (2, 5), (4, 3), (1, 7), (6, 6))
CLASSICAL = (180, (6,) * 6, (6,) * 6, 8, 360)
LIGHTWEIGHT = Swin2SRConfig(
    3, 60, (6,) * 4, (6,) * 4, 8, 120, 2, "pixelshuffledirect", "1conv", 1.0
)
OFFICIAL = {
    "classical x2": Swin2SRConfig(3, *CLASSICAL, 2, "pixelshuffle", "1conv", 1.0),
    "classical x4": Swin2SRConfig(3, *CLASSICAL, 4, "pixelshuffle", "1conv", 1.0),
    "realworld x4": Swin2SRConfig(3, *CLASSICAL, 4, "nearest+conv", "1conv", 1.0),
    "compressed x4": Swin2SRConfig(3, *CLASSICAL, 4, "pixelshuffle_aux", "1conv", 1.0),
    "jpeg": Swin2SRConfig(3, 180, (6,) * 6, (6,) * 6, 7, 360, 1, "none", "1conv", 255.0),
    "lightweight x2": LIGHTWEIGHT,
}


def loaded(model: str) -> Swin2SR:
    config, state = load_checkpoint(resolve_model(model))
    network = Swin2SR(config)
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network.eval().requires_grad_(False)


def random(config: Swin2SRConfig) -> Swin2SR:
    """As new, but with biases and norms that matter."""
    torch.manual_seed(0)
    network = Swin2SR(config).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.dim() == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def overflowing() -> Swin2SR:
    network = random(LIGHTWEIGHT)
    for _, block in blocks_of(network):
        for layer in (block.attn.proj, block.mlp.fc2):
            layer.weight.mul_(2.0**20)
        for norm in (block.norm1, block.norm2):
            norm.weight.mul_(2.0**4)
    return network


def networks(models: list[str]) -> Iterator[tuple[str, Swin2SR]]:
    there = []
    for model in models:
        network = loaded(model)
        there.append(network.config)
        yield Path(model).stem, network
    for name, config in OFFICIAL.items():
        if config not in there:
            yield f"{name}, random", random(config)
    yield "overflow, random", overflowing()


def exported(network: Swin2SR, precision: str) -> tuple[bytes, Contract]:
    told = {"licence": "", "weights_sha256": "", "model": "x", "precision": precision}
    return onnx_bytes(network, Contract.of(network.config, **told))


@torch.no_grad()
def row(name: str, network: Swin2SR, sizes: int) -> str:
    window, worst, cells = network.config.window, {}, []
    content, contract = exported(network, "fp32")
    nodes = len(onnx.load_from_string(content).graph.node)
    weights = 4 * sum(parameter.numel() for parameter in network.parameters())
    sessions = {"fp32": OnnxSession(content, contract, "cpu")}
    narrow, told = exported(network, "fp16")
    sessions["fp16"] = OnnxSession(narrow, told, "cpu")
    for precision, session in sessions.items():
        most, square, count = 0.0, 0.0, 0
        generator = torch.Generator().manual_seed(1)
        for batch in (1, 3):
            for rows, columns in SIZES[:sizes]:
                sides = (rows * window, columns * window)
                image = torch.rand(batch, network.config.in_channels, *sides, generator=generator)
                off = (session.run(image) - network(image)).double()
                most = max(most, float(off.abs().max()))
                square, count = square + float(off.square().sum()), count + off.numel()
        worst[precision] = most
        cells.append(f"{-10 * math.log10(square / count):.1f} dB")
    return (
        f"| {name} | {network.config.head} | {nodes} | {len(content) / 1e6:.2f} | "
        f"{len(content) / weights:.3f} | {contract.opset} | {worst['fp32']:.1e} | "
        f"{len(narrow) / 1e6:.2f} | {worst['fp16']:.1e}, {cells[1]} |"
    )


def picture_rows(path: Path, models: list[str]) -> Iterator[str]:
    """A whole picture in tiles, by the file and by torch, and exactly by torch."""
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "exported.onnx"
            file.write_bytes(exported(loaded(model), "fp32")[0])
            runs = []
            for source, strategy in ((file, "tiled"), (model, "tiled"), (model, "whole")):
                network = s2.load_model(source, "fp32")
                tiling = {"tile": 128, "overlap": 16} if strategy == "tiled" else {}
                height, width = image.shape[-2:]
                plan = s2.make_plan(
                    network, height, width, network.scale, strategy=strategy, **tiling
                )
                runs.append(s2.upscale(network, image, plan=plan).image)
        tiles, exact = ((runs[0] - other).abs() for other in runs[1:])
        torch_exact = (runs[1] - runs[2]).abs()
        yield (
            f"{Path(model).stem}, {width}x{height}: to torch tiled {tiles.max():.1e}; to exact "
            f"{255 * exact.max():.2f}/255 at most, {255 * exact.mean():.4f}/255 on average "
            f"(torch tiled: {255 * torch_exact.max():.2f}, {255 * torch_exact.mean():.4f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["compact-x4"])
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--sizes", type=int, default=len(SIZES), help="so many, the small first")
    args = parser.parse_args()
    if args.picture:
        for line in picture_rows(args.picture, args.models):
            print(line, flush=True)
        return
    print("| network | head | nodes | MB | of weights | opset | fp32 off | fp16 MB | fp16 off |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, network in networks(args.models):
        if args.only in name:
            print(row(name, network, args.sizes), flush=True)


if __name__ == "__main__":
    sys.exit(main())
