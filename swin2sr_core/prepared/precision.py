"""What fp32, bf16, fp16 and int8 mean for a network: which type each part of it computes in.

fp16 ends at 65504, so a network is first brought into an equivalent one whose values are small.
Everything that enters a LayerNorm may be multiplied by a power of two if the norm's eps is
multiplied by its square; q and k are normalised anyway; and the residual stream itself may be
scaled as long as all that is added to it is scaled alike. Powers of two change no digit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..machine.devices import DTYPES, has_int8_products, has_native_bf16
from ..network.network import Stage, Swin2SR, SwinBlock, WindowAttention
from ..sentences import sentence
from .fold import fold
from .folded import FoldedNetwork
from .quantization import GELU_MINIMUM, dequantize_rows, quantize_rows, signal_to_noise

WIDER = {"fp16": "bf16", "int8": "fp32"}
"""What is computed instead where a precision gives values that are not finite.

Both take the memory that was planned for: a feature map in bf16 is as large as one in fp16.
"""

LEAST_SIGNAL_TO_NOISE = 26.0
"""Decibels: a linear layer whose int8 product is further from the exact one stays in float."""

# log2 of the largest magnitude that a probe may show. The rest, up to 2**15, is headroom for
# pictures that reach further than the probe's, and for sums: 64 values of v are added up.
_STREAM, _BRANCH, _VALUE, _HIDDEN = 5, 4, 2, 9

_PROBE_SIDE = 40


class Source:
    """The network as it was loaded, to make others of it when they are needed; it is not moved."""

    def __init__(self, network: Swin2SR) -> None:
        self.network = network
        self._made: dict[tuple[str, torch.device], FoldedNetwork] = {}

    def folded(self, precision: str, device: torch.device) -> FoldedNetwork:
        """The network in another precision, made at the first call."""
        key = (precision, device)
        if key not in self._made:
            self._made[key] = prepare(self.network, precision, device)
        return self._made[key]


def prepare(
    network: Swin2SR,
    precision: str,
    device: torch.device,
    runs_on: torch.device | None = None,
) -> FoldedNetwork:
    """`network` (fp32, left as it is) ready to run in `precision` on `device`.

    `runs_on` is where it will be moved to before it runs, if that is another device.
    """
    if precision == "fp16":
        return fold(rescaled(network, probe(network)), torch.float16, device)
    if precision == "int8":
        if has_native_bf16(runs_on or device):
            # Measured with AVX512-BF16 and VNNI: a block takes 0.4 to 0.9 of its time in int8. On
            # graphics cards int8 moves 2.6 times the bytes (counted), and time there is memory's.
            return fold(with_int8_weights(network), torch.bfloat16, device)
        return fold(network, torch.float32, device, quantizable(network))
    return fold(network, DTYPES[precision], device)


def notes(precision: str, device: torch.device) -> tuple[str, ...]:
    """What a user should know about `precision` on `device`, a sentence each."""
    if precision == "int8" and not has_int8_products(device):
        return (
            sentence(
                "int8_without_products",
                "int8: this {device} has no int8 matrix products that torch could use, so the "
                "weights are brought back to float band by band; fp32 or bf16 is as fast",
                device=device.type,
            ),
        )
    return ()


# -- the probe -------------------------------------------------------------------------------------


@dataclass
class BlockPeaks:
    """The largest magnitudes that a probe saw in one block."""

    query: float = 0.0
    key: float = 0.0
    value: float = 0.0
    attended: float = 0.0
    hidden: float = 0.0
    branch: float = 0.0


@dataclass
class Peaks:
    """The largest magnitudes that a probe saw in the residual stream and in each block."""

    stream: float = 0.0
    blocks: dict[str, BlockPeaks] = field(default_factory=dict)


@torch.no_grad()
def probe(network: Swin2SR) -> Peaks:
    """Run `network` in fp32 on a small picture of everything and see how large values get."""
    peaks = Peaks()
    handles = []

    def stream(module: nn.Module, inputs: object, output: Tensor) -> None:
        peaks.stream = max(peaks.stream, _peak(output))

    for module in (network.patch_embed, *network.layers):
        handles.append(module.register_forward_hook(stream))
    for name, block in blocks_of(network):
        handles.append(block.register_forward_hook(stream))
        handles += _watch_block(block, peaks.blocks.setdefault(name, BlockPeaks()))
    try:
        network(probe_picture(network))
    finally:
        for handle in handles:
            handle.remove()
    return peaks


def _watch_block(block: SwinBlock, seen: BlockPeaks) -> list[torch.utils.hooks.RemovableHandle]:
    def projections(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        weight, bias = qkv_of(block.attn)
        q, k, v = F.linear(inputs[0], weight, bias).chunk(3, dim=-1)
        seen.query, seen.key, seen.value = _peak(q), _peak(k), _peak(v)

    def into(name: str):  # noqa: ANN202 -- a closure
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            setattr(seen, name, _peak(output))

        return hook

    return [
        block.attn.register_forward_pre_hook(projections),
        block.attn.proj.register_forward_hook(into("attended")),
        block.mlp.fc1.register_forward_hook(into("hidden")),
        block.mlp.fc2.register_forward_hook(into("branch")),
    ]


def _peak(x: Tensor) -> float:
    return float(x.abs().max())


def probe_picture(network: Swin2SR) -> Tensor:
    """1 x C x side x side: noise, a ramp, stripes, and black beside white."""
    side, channels = _PROBE_SIDE, network.config.in_channels
    half = side // 2
    picture = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0))
    picture[..., :half, half:] = torch.linspace(0, 1, half)
    picture[..., half:, :half] = (torch.arange(half) % 2).float()
    picture[..., half:, half:] = 0
    picture[..., half:, half + half // 2 :] = 1
    return picture.to(network.conv_first.weight)


def blocks_of(network: Swin2SR) -> Iterator[tuple[str, SwinBlock]]:
    """Every block with its official name."""
    for name, module in network.named_modules():
        if isinstance(module, SwinBlock):
            yield name, module


def qkv_of(attention: WindowAttention) -> tuple[Tensor, Tensor]:
    """Weight and bias of the layer that makes q, k and v; k has no bias of its own."""
    bias = torch.cat([attention.q_bias, torch.zeros_like(attention.q_bias), attention.v_bias])
    return attention.qkv.weight, bias


# -- fp16 ------------------------------------------------------------------------------------------


@torch.no_grad()
def rescaled(network: Swin2SR, peaks: Peaks) -> Swin2SR:
    """A network that computes the same, with values of a size that fp16 holds."""
    network = copy.deepcopy(network)
    stream = _power(peaks.stream, _STREAM)
    _scale_parameters(cast(nn.Module, network.patch_embed.norm), stream)
    for name, block in blocks_of(network):
        _rescale_block(block, peaks.blocks[name], stream)
    for stage in (cast(Stage, each) for each in network.layers):
        _scale_biases(stage.conv, stream)
        _scale_biases(stage.patch_embed, stream)
    network.norm.eps *= stream**2
    return network


def _rescale_block(block: SwinBlock, peaks: BlockPeaks, stream: float) -> None:
    """x comes in `stream` times as large as it was, and has to leave so."""
    attention, mlp = block.attn, block.mlp
    factors = [
        _power(peaks.query, _BRANCH),
        _power(peaks.key, _BRANCH),
        value := _power(peaks.value, _VALUE),
    ]
    for part, factor in zip(attention.qkv.weight.chunk(3), factors, strict=True):
        part.mul_(factor / stream)
    attention.q_bias.mul_(factors[0])
    attention.v_bias.mul_(value)
    attended = _power(peaks.attended, _BRANCH)
    attention.proj.weight.mul_(attended / value)
    attention.proj.bias.mul_(attended)
    _scale_parameters(block.norm1, stream)
    block.norm1.eps *= attended**2
    mlp.hidden_scale = min(1.0, _power(peaks.hidden, _HIDDEN))
    mlp.fc1.weight.mul_(mlp.hidden_scale / stream)
    mlp.fc1.bias.mul_(mlp.hidden_scale)
    branch = _power(peaks.branch, _BRANCH)
    mlp.fc2.weight.mul_(branch / mlp.hidden_scale)
    mlp.fc2.bias.mul_(branch)
    _scale_parameters(block.norm2, stream)
    block.norm2.eps *= branch**2


def _power(peak: float, target: int) -> float:
    """The power of two that brings `peak` to at most 2**target, and over half of it."""
    if not 0 < peak < math.inf:
        return 1.0
    return 2.0 ** (target - math.ceil(math.log2(peak)))


def _scale_parameters(module: nn.Module, factor: float) -> None:
    for parameter in module.parameters():
        parameter.mul_(factor)


def _scale_biases(module: nn.Module, factor: float) -> None:
    """Of convolutions with nothing but leaky ReLUs between them, which leave a factor alone."""
    for each in module.modules():
        if isinstance(each, nn.Conv2d) and each.bias is not None:
            each.bias.mul_(factor)


# -- int8 ------------------------------------------------------------------------------------------


@torch.no_grad()
def with_int8_weights(network: Swin2SR) -> Swin2SR:
    """The network whose weights are those of its int8 file: of a copy, in float32."""
    network = copy.deepcopy(network)
    for name in quantizable(network):
        weight = network.get_submodule(name).get_parameter("weight")
        weight.copy_(dequantize_rows(*quantize_rows(weight)))
    return network


@torch.no_grad()
def layer_errors(network: Swin2SR) -> dict[str, float]:
    """Decibels between each linear layer's exact product and its int8 one, on a probe picture."""
    errors: dict[str, float] = {}
    handles = []

    def watch(name: str, module: nn.Module, weight: Tensor, lowest: float | None = None) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            errors[name] = signal_to_noise(inputs[0].flatten(0, -2), weight, lowest)

        handles.append(module.register_forward_pre_hook(hook))

    for name, block in blocks_of(network):
        watch(f"{name}.attn.qkv", block.attn, block.attn.qkv.weight)
        watch(f"{name}.attn.proj", block.attn.proj, block.attn.proj.weight)
        watch(f"{name}.mlp.fc1", block.mlp.fc1, block.mlp.fc1.weight)
        watch(f"{name}.mlp.fc2", block.mlp.fc2, block.mlp.fc2.weight, GELU_MINIMUM)
    try:
        network(probe_picture(network))
    finally:
        for handle in handles:
            handle.remove()
    return errors


def quantizable(network: Swin2SR) -> frozenset[str]:
    """The names of the linear layers that may compute in int8."""
    return robust_layers(network, layer_errors(network))


def robust_layers(network: Swin2SR, errors: Mapping[str, float]) -> frozenset[str]:
    """Those of `layer_errors` that lose little, and are not in the first block.

    What is wrong in the first block goes through all others: kept in float, the output is nearer
    to fp32's by two to six decibels (measured with the official lightweight network).
    """
    first, _ = next(blocks_of(network))
    return frozenset(
        name
        for name, ratio in errors.items()
        if ratio >= LEAST_SIGNAL_TO_NOISE and not name.startswith(f"{first}.")
    )
