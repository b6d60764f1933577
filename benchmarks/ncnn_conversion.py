"""The bundled model through pnnx in ncnn: how far from the network, how large, how fast.

    python benchmarks/ncnn_conversion.py [--size 128x128] [--out FOLDER]

Needs the packages ncnn and pnnx. The network is written again in at most four axes: windows are cut
by reshapes and a transpose, shifts are two slices put together anew, and heads, position biases and
masks are constants of the size. What comes out takes that size alone: in0 and out0, CHW in 0..1.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swin2sr_core.models.catalog import resolve_model
from swin2sr_core.models.checkpoint import load_checkpoint
from swin2sr_core.network.network import (
    COSINE_EPS,
    MAX_LOGIT_SCALE,
    Swin2SR,
    SwinBlock,
    image_mean,
)
from swin2sr_core.network.windows import (
    BOTTOM,
    RIGHT,
    attention_masks,
    position_table,
    relative_index,
)
from swin2sr_core.prepared.fold import folded_1x1
from swin2sr_core.prepared.precision import qkv_of

ROUNDS = 5


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight, made.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return made


class Block(nn.Module):
    """A Swin V2 block on 1 x H x W x C of a fixed size; tokens are rows of C in between."""

    def __init__(self, block: SwinBlock, mask: Tensor, height: int, width: int) -> None:
        super().__init__()
        attention = block.attn
        self.shift, self.heads, self.window = block.shift, attention.heads, attention.window
        self.height, self.width, self.channels = height, width, attention.qkv.in_features
        weights, biases = (part.chunk(3) for part in qkv_of(attention))
        self.q, self.k, self.v = map(linear, weights, biases)
        self.proj, self.fc1, self.fc2 = attention.proj, block.mlp.fc1, block.mlp.fc2
        self.norm1, self.norm2 = block.norm1, block.norm2
        scale = attention.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
        self.register_buffer("scale", scale.view(1, self.heads, 1, 1))
        table = position_table(attention.cpb_mlp, self.window).t()
        self.register_buffer("bias", table[:, relative_index(self.window)][None])
        self.register_buffer("mask", mask)  # windows 1 tokens tokens

    def forward(self, x: Tensor) -> Tensor:
        window, channels = self.window, self.channels
        rows, columns = self.height // window, self.width // window
        x = self.rolled(x, self.shift)
        x = x.reshape(rows, window, columns, window * channels).permute(0, 2, 1, 3)
        x = x.reshape(-1, channels)
        x = x + self.norm1(self.proj(self.attended(x)))
        x = x + self.norm2(self.fc2(F.gelu(self.fc1(x))))
        x = x.reshape(rows, columns, window, window * channels).permute(0, 2, 1, 3)
        return self.rolled(x.reshape(1, self.height, self.width, channels), -self.shift)

    def attended(self, x: Tensor) -> Tensor:
        per_head = (-1, self.window**2, self.heads, self.channels // self.heads)
        q = self.unit(self.q(x)).reshape(per_head).permute(0, 2, 1, 3) * self.scale
        k = self.unit(self.k(x)).reshape(per_head).permute(0, 2, 3, 1)
        v = self.v(x).reshape(per_head).permute(0, 2, 1, 3)
        logits = torch.matmul(q, k) + self.bias
        if self.shift:
            logits = logits + self.mask
        out = torch.matmul(torch.softmax(logits, -1), v).permute(0, 2, 1, 3)
        return out.reshape(-1, self.channels)

    def unit(self, x: Tensor) -> Tensor:
        """Each head's part of a row divided by its norm."""
        x = x.reshape(-1, self.channels // self.heads)
        norm = (x * x).sum(1, keepdim=True).sqrt().clamp(min=COSINE_EPS)
        return (x / norm).reshape(-1, self.channels)

    def rolled(self, x: Tensor, shift: int) -> Tensor:
        if not shift:
            return x
        down, across = shift % self.height, shift % self.width
        x = torch.cat([x[:, down:], x[:, :down]], 1)
        return torch.cat([x[:, :, across:], x[:, :, :across]], 2)


class Network(nn.Module):
    """1 x 3 x H x W -> 1 x 3 x scale*H x scale*W, for the head pixelshuffledirect.

    pnnx fails on a module that is there twice: no part of `network` is kept but those used.
    """

    def __init__(self, network: Swin2SR, height: int, width: int) -> None:
        super().__init__()
        config = network.config
        mask = masks(height // config.window, width // config.window, config.window, config.shift)
        self.embed = folded_1x1(network.conv_first, network.patch_embed.proj)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(Block(block, mask, height, width) for block in stage.residual_group.blocks)
            )
            for stage in network.layers
        )
        self.convs = nn.ModuleList(
            folded_1x1(stage.conv, stage.patch_embed.proj) for stage in network.layers
        )
        self.norms = nn.ModuleList((network.patch_embed.norm, network.norm))
        self.first, self.after = network.conv_first, network.conv_after_body
        self.upsample = network.upsample
        self.register_buffer("mean", image_mean(config).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        image = image - self.mean
        x = self.norms[0](self.embed(image).permute(0, 2, 3, 1))
        for stage, conv in zip(self.stages, self.convs, strict=True):
            x = x + conv(stage(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = self.after(self.norms[1](x).permute(0, 3, 1, 2))
        return self.upsample(x + self.first(image)) + self.mean


def masks(rows: int, columns: int, window: int, shift: int) -> Tensor:
    """windows x 1 x tokens x tokens: what is added to the logits of a shifted block."""
    kinds = attention_masks(window, shift)
    hidden = torch.zeros(rows, columns, *kinds[BOTTOM].shape)
    hidden[-1] = kinds[BOTTOM]
    hidden[:, -1] = torch.minimum(hidden[:, -1], kinds[RIGHT])
    return hidden.flatten(0, 1)[:, None]


def ncnn_run(folder: Path, image: Tensor) -> tuple[np.ndarray, float]:
    """What ncnn makes of the picture, and the median of its seconds."""
    import ncnn  # pyright: ignore[reportMissingImports]

    with ncnn.Net() as net:
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(net.opt, f"use_{name}", False)
        net.load_param(str(folder / "model.ncnn.param"))
        net.load_model(str(folder / "model.ncnn.bin"))
        seconds = []
        for _ in range(ROUNDS):
            with net.create_extractor() as extractor:
                extractor.input("in0", ncnn.Mat(image[0].numpy()).clone())
                started = time.perf_counter()
                _, out = extractor.extract("out0")
                seconds.append(time.perf_counter() - started)
                out = np.array(out)
    return out, statistics.median(seconds)


@torch.no_grad()
def main() -> None:
    import pnnx  # pyright: ignore[reportMissingImports]

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="128x128", help="height x width, multiples of 8")
    parser.add_argument("--out", type=Path, help="keep the files there")
    args = parser.parse_args()
    height, width = map(int, args.size.split("x"))
    config, state = load_checkpoint(resolve_model("compact-x4"))
    network = Swin2SR(config)
    network.load_state_dict({name: value.float() for name, value in state.items()})
    network.eval().requires_grad_(False)
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    written = Network(network, height, width).eval()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        pnnx.export(written, str(folder / "model.pt"), (image,), fp16=False)  # tells a lot
        out, seconds = ncnn_run(folder, image)
        layers = len((folder / "model.ncnn.param").read_text().splitlines()) - 2
        size = (folder / "model.ncnn.bin").stat().st_size / 1e6
    expected = network(image)[0].numpy()
    print(
        f"{width}x{height}: {layers} layers, {size:.1f} MB, {seconds:.3f} s; from the network "
        f"{np.abs(out - expected).max():.1e}, written in four axes alone "
        f"{float((written(image)[0] - torch.from_numpy(expected)).abs().max()):.1e}"
    )


if __name__ == "__main__":
    sys.exit(main())
