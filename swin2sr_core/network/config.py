"""The hyper-parameters of a Swin2SR network, read from the shapes of its parameters alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]

PADDING_MODES = ("zeros", "replicate")
"""What a convolution may see beyond the picture's border: nothing, or the border once more."""

HEAD_CHANNELS = 64
"""Channels inside every head that convolves on the HR grid."""

MOST_LAYERS = 128
"""Stages, and blocks of one: the published networks have six. A file may name any number."""


@dataclass(frozen=True)
class Swin2SRConfig:
    """What is needed to build one network (Conde et al., Swin2SR, arXiv 2209.11345).

    `head` is one of "pixelshuffle" (classical), "pixelshuffledirect" (lightweight), "nearest+conv"
    (real-world), "pixelshuffle_aux" (compressed) and "none" (restoration at x1). `residual` is the
    convolution that ends each stage: "1conv" or "3conv". `img_range` multiplies the centred input.
    `padding_mode` is one of `PADDING_MODES`: the paper pads its convolutions with zeros, which puts
    a rim around plain colours; with "replicate" what is flat stays flat up to the border.
    """

    in_channels: int
    embed_dim: int
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]
    window: int
    mlp_dim: int
    scale: int
    head: str
    residual: str
    img_range: float
    padding_mode: str = "zeros"

    @property
    def metadata(self) -> dict[str, str]:
        """What a file has to say of the network besides its tensors; see `infer_config`."""
        return {} if self.padding_mode == "zeros" else {_PADDING: self.padding_mode}

    @property
    def pads_a_copy(self) -> bool:
        """Whether torch copies what it convolves to pad it, as it need not for zeros."""
        return self.padding_mode != "zeros"

    @property
    def shift(self) -> int:
        """Pixels by which every second block rolls the map: half a window."""
        return self.window // 2

    @property
    def parameters(self) -> int:
        """Trainable parameters of body and stages, without the head; an estimate for display."""
        c, m = self.embed_dim, self.mlp_dim
        block = 4 * c * c + 2 * c * m + 8 * c + m
        bias = 512 * 3
        stages = sum(
            d * (block + bias + (512 + 1) * h)
            for d, h in zip(self.depths, self.num_heads, strict=True)
        )
        return stages + len(self.depths) * (10 * c * c) + 10 * c * c


_PADDING = "padding_mode"


def infer_config(shapes: Shapes, metadata: Mapping[str, str] | None = None) -> Swin2SRConfig:
    """The config of the network whose parameters have these official names and shapes.

    The padding of convolutions leaves no trace in them: `metadata`, a file's, may name it. Buffers
    are never looked at: files converted from other libraries have none. Raises `CheckpointError`
    when a parameter that decides something is missing or contradicts the others.
    """
    padding_mode = (metadata or {}).get(_PADDING, "zeros")
    if padding_mode not in PADDING_MODES:
        raise CheckpointError.saying(
            "config_padding",
            "its convolutions pad with {found!r}, and only {known} are known; a newer version may "
            "know more",
            found=padding_mode[:40],
            known=", ".join(PADDING_MODES),
        )
    embed_dim, in_channels = _shape(shapes, "conv_first.weight", 4)[:2]
    blocks = _blocks(shapes)
    stages = len(blocks)
    if stages == 0:
        raise CheckpointError.saying(
            "config_no_layers",
            "this checkpoint has no `layers.*`, so it is no Swin2SR; choose a Swin2SR file",
        )
    depths = tuple(_length(blocks[i], f"blocks of stage {i}") for i in range(stages))
    block = "residual_group.blocks.0"
    num_heads = tuple(
        _shape(shapes, f"layers.{i}.{block}.attn.logit_scale", 3)[0] for i in range(stages)
    )
    if any(embed_dim % h for h in num_heads):
        raise CheckpointError.saying(
            "config_heads",
            "the embedding has {embed_dim} channels, which {num_heads} heads do not "
            "divide; the checkpoint is damaged or no Swin2SR",
            embed_dim=embed_dim,
            num_heads=num_heads,
        )
    head, scale = _infer_head(shapes, in_channels)
    # The 7x7-window checkpoints are the JPEG ones, which work on 0..255. The window leaves no trace
    # in any parameter's shape: only x1 restoration of JPEG pictures was ever trained with 7.
    window = 7 if head == "none" else 8
    return Swin2SRConfig(
        in_channels=in_channels,
        embed_dim=embed_dim,
        depths=depths,
        num_heads=num_heads,
        window=window,
        mlp_dim=_shape(shapes, f"layers.0.{block}.mlp.fc1.weight", 2)[0],
        scale=scale,
        head=head,
        residual="3conv" if "conv_after_body.0.weight" in shapes else "1conv",
        img_range=255.0 if window == 7 else 1.0,
        padding_mode=padding_mode,
    )


def _infer_head(shapes: Shapes, in_channels: int) -> tuple[str, int]:
    """Name of the head and its scale, from which of the heads' parameters are there."""
    if "conv_after_body_hf.weight" in shapes:
        raise CheckpointError.saying(
            "config_two_branches",
            "this is a Swin2SR with the two-branch pixelshuffle_hf head, which is not "
            "supported; use a classical, lightweight, real-world or compressed checkpoint",
        )
    if "conv_up1.weight" in shapes:
        return "nearest+conv", 4
    if "conv_bicubic.weight" in shapes:
        return "pixelshuffle_aux", _pixelshuffle_scale(shapes)
    if "conv_before_upsample.0.weight" in shapes:
        return "pixelshuffle", _pixelshuffle_scale(shapes)
    if "upsample.0.weight" in shapes:
        factor = _shape(shapes, "upsample.0.weight", 4)[0] / in_channels
        if not math.sqrt(factor).is_integer():
            raise CheckpointError.saying(
                "config_upsample",
                "`upsample.0.weight` makes {factor:g} values per pixel and channel, which is "
                "no square; the checkpoint is damaged",
                factor=factor,
            )
        return "pixelshuffledirect", math.isqrt(int(factor))
    if "conv_last.weight" in shapes:
        return "none", 1
    raise CheckpointError.saying(
        "config_no_head",
        "no known head (`upsample`, `conv_up1`, `conv_last`) is in this checkpoint; it "
        "is incomplete or no Swin2SR",
    )


def _pixelshuffle_scale(shapes: Shapes) -> int:
    """Product of the pixel-shuffle steps: a convolution to 64 * s**2 channels is one x s step."""
    scale = 1
    for index in range(0, 8, 2):
        name = f"upsample.{index}.weight"
        if name in shapes:
            out_channels, in_channels = _shape(shapes, name, 4)[:2]
            scale *= math.isqrt(out_channels // in_channels)
    return scale


_PLACE = re.compile(r"layers\.(\d+)\.(?:residual_group\.blocks\.(\d+)\.)?", re.ASCII)


def _blocks(shapes: Shapes) -> list[set[int]]:
    """The blocks of each stage, in one pass over the names."""
    found: dict[int, set[int]] = {}
    for name in shapes:
        if match := _PLACE.match(name):
            stage, block = (_index(text) for text in match.groups(default="-1"))
            found.setdefault(stage, set()).update({block} - {-1})
    _length(set(found), "stages")
    return [found[i] for i in range(len(found))]


def _index(text: str) -> int:
    if len(text) > 4:
        raise CheckpointError.saying(
            "config_number", "a layer has a number of more than four digits; the file is damaged"
        )
    return int(text)


def _length(found: set[int], what: str) -> int:
    """How many there are. Raises CheckpointError for gaps, and for more than any network has."""
    if len(found) > MOST_LAYERS:
        raise CheckpointError.saying(
            "config_many",
            "the checkpoint has {count:,} {what}, expected at most {most}; it is damaged "
            "or no Swin2SR",
            count=len(found),
            what=what,
            most=MOST_LAYERS,
        )
    if found != set(range(len(found))):
        missing = min(set(range(len(found))) - found)
        raise CheckpointError.saying(
            "config_gaps",
            "the checkpoint has gaps: there is no number {missing} among its {what}; it is "
            "incomplete",
            missing=missing,
            what=what,
        )
    return len(found)


def _shape(shapes: Shapes, name: str, dims: int) -> tuple[int, ...]:
    shape = shapes.get(name)
    if shape is None:
        raise CheckpointError.saying(
            "config_missing",
            "`{name}` is missing, so this is no whole Swin2SR checkpoint",
            name=name,
        )
    if len(shape) != dims:
        raise CheckpointError.saying(
            "config_dims",
            "`{name}` should have {dims} dimensions, got shape {shape}",
            name=name,
            dims=dims,
            shape=shape,
        )
    if min(shape) < 1:
        raise CheckpointError.saying(
            "config_empty",
            "`{name}` is empty, its shape is {shape}; the file is damaged",
            name=name,
            shape=shape,
        )
    return tuple(shape)


def padded_head_dim(head_dim: int) -> int:
    """Channels per head after padding: room for the column of ones, in whole vector registers."""
    return -(-(head_dim + 1) // 4) * 4
