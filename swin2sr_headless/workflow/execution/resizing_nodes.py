"""Nodes of newer versions of ComfyUI that resize by a choice, or bring pictures to one size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

from swin2sr_core.errors import InputError

from ...comfy_stub import io_types as io
from . import pixels
from .core_nodes import MAX_SIDE
from .dynamic_inputs import Autogrow, DynamicCombo, MatchInput, MatchOutput

_METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
_MOST_IMAGES = 50


class ResizeImageMaskNode(io.ComfyNode):
    """Resizes pictures or masks: to a size, by a factor, to a side, to pixels, to multiples."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ResizeImageMaskNode",
            display_name="Resize Image/Mask",
            category="image/transform",
            inputs=[
                MatchInput("input", "input_type", "IMAGE,MASK"),
                DynamicCombo("resize_type", _ways()),
                io.Combo.Input("scale_method", options=_METHODS, default="area"),
            ],
            outputs=[MatchOutput(display_name="resized")],
        )

    @classmethod
    def execute(
        cls, input: Tensor, resize_type: Mapping[str, object], scale_method: str
    ) -> io.NodeOutput:
        image = input if input.ndim == 4 else input[..., None]
        made = _resized(image, resize_type, scale_method)
        return io.NodeOutput(made if input.ndim == 4 else made[..., 0])


class BatchImagesNode(io.ComfyNode):
    """Pictures one after the other, all in the size of the first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="BatchImagesNode",
            display_name="Batch Images",
            category="image/batch",
            inputs=[Autogrow("images", io.Image.Input("image"), "image", 1, _MOST_IMAGES)],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, images: Mapping[str, Tensor]) -> io.NodeOutput:
        channels = max(each.shape[-1] for each in images.values())
        filled = [pad(each, (0, channels - each.shape[-1]), value=1.0) for each in images.values()]
        height, width = filled[0].shape[1:3]
        same = [
            each
            if each.shape[1:3] == (height, width)
            else pixels.resized(each, width, height, "bilinear", center=True)
            for each in filled
        ]
        return io.NodeOutput(torch.cat(same))


NODES: tuple[type[io.ComfyNode], ...] = (ResizeImageMaskNode, BatchImagesNode)


def _ways() -> dict[str, list[io.Input]]:
    crop = io.Combo.Input("crop", options=["disabled", "center"], default="center")
    return {
        "scale dimensions": [_side("width"), _side("height"), crop],
        "scale by multiplier": [
            io.Float.Input("multiplier", default=1.0, min=0.01, max=8.0, step=0.01)
        ],
        "scale longer dimension": [_side("longer_size")],
        "scale shorter dimension": [_side("shorter_size")],
        "scale width": [_side("width")],
        "scale height": [_side("height")],
        "scale total pixels": [
            io.Float.Input("megapixels", default=1.0, min=0.01, max=16.0, step=0.01)
        ],
        "match size": [io.MultiType.Input("match", [io.Image, io.Mask]), crop],
        "scale to multiple": [io.Int.Input("multiple", default=8, min=1, max=MAX_SIDE, step=1)],
    }


def _side(name: str) -> io.Input:
    return io.Int.Input(name, default=512, min=0, max=MAX_SIDE, step=1)


def _resized(image: Tensor, way: Mapping[str, object], method: str) -> Tensor:
    height, width = image.shape[1:3]
    if way["resize_type"] == "scale to multiple":
        return _to_multiple(image, int(way["multiple"]), method)  # type: ignore[call-overload]
    wanted = _size(way, width, height)
    if wanted is None:
        return image
    if min(wanted) < 1:
        raise InputError(
            f"{way['resize_type']} would make {wanted[0]}x{wanted[1]} of {width}x{height} pixels; "
            "ask for more"
        )
    return pixels.resized(image, *wanted, method, center=way.get("crop") == "center")


def _size(way: Mapping[str, object], width: int, height: int) -> tuple[int, int] | None:
    """(width, height) of the result; None where nothing is asked for."""
    match dict(way):
        case {"resize_type": "match size", "match": Tensor() as other}:
            return other.shape[2], other.shape[1]
        case {"multiplier": float() | int() as factor}:
            return round(width * factor), round(height * factor)
        case {"megapixels": float() | int() as megapixels}:
            factor = math.sqrt(int(megapixels * 1024 * 1024) / (width * height))
            return round(width * factor), round(height * factor)
        case {"longer_size": int() as length}:
            return _by_side(max(width, height), length, width, height)
        case {"shorter_size": int() as length}:
            return _by_side(min(width, height), length, width, height)
    wide, high = (int(way.get(name, 0)) for name in ("width", "height"))  # type: ignore[call-overload]
    if not wide and not high:
        return None
    follows = max(1, round(width * high / height) if high else round(height * wide / width))
    return wide or follows, high or follows


def _by_side(side: int, length: int, width: int, height: int) -> tuple[int, int]:
    """The size at which what is `side` long becomes `length`."""
    wide, high = (length if s == side else round(s / side * length) for s in (width, height))
    return wide, high


def _to_multiple(image: Tensor, multiple: int, method: str) -> Tensor:
    """As much of the picture as whole multiples have room for, scaled to cover them."""
    height, width = image.shape[1:3]
    high, wide = (side // multiple * multiple for side in (height, width))
    if 0 in (high, wide) or (high, wide) == (height, width):
        return image
    if wide / width >= high / height:
        size = wide, max(high, math.ceil(height * (wide / width)))
    else:
        size = max(wide, math.ceil(width * (high / height))), high
    x, y = (size[0] - wide) // 2, (size[1] - high) // 2
    return pixels.resized(image, *size, method)[:, y : y + high, x : x + wide]
