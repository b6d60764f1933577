"""Nodes of ComfyUI that work on pictures and masks, for the host without a ComfyUI.

Inputs and results are those of ComfyUI: tests compare each with the real node of a checkout.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from swin2sr_core.errors import InputError

from ...comfy_stub import io_types as io
from . import pixels
from .core_nodes import MAX_SIDE, METHODS

_CHANNELS = ["red", "green", "blue", "alpha"]
_BLENDS = ["normal", "multiply", "screen", "overlay", "soft_light", "difference"]


class GetImageSize(io.ComfyNode):
    """Width, height and number of pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="GetImageSize",
            display_name="Get Image Size",
            category="image",
            inputs=[io.Image.Input("image")],
            outputs=[
                io.Int.Output(display_name="width"),
                io.Int.Output(display_name="height"),
                io.Int.Output(display_name="batch_size"),
            ],
        )

    @classmethod
    def execute(cls, image: Tensor) -> io.NodeOutput:
        count, height, width = image.shape[:3]
        return io.NodeOutput(width, height, count)


class ImageScaleToTotalPixels(io.ComfyNode):
    """Resizes to so many times 1024x1024 pixels; sides may be multiples of a step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageScaleToTotalPixels",
            display_name="Scale Image to Total Pixels",
            category="image/upscaling",
            inputs=[
                io.Image.Input("image"),
                io.Combo.Input("upscale_method", options=METHODS),
                io.Float.Input("megapixels", default=1.0, min=0.01, max=16.0, step=0.01),
                io.Int.Input("resolution_steps", optional=True, default=1, min=1, max=256),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(
        cls, image: Tensor, upscale_method: str, megapixels: float, resolution_steps: int = 1
    ) -> io.NodeOutput:
        height, width = image.shape[1:3]
        factor = math.sqrt(megapixels * 1024 * 1024 / (width * height)) / resolution_steps
        width, height = (round(side * factor) * resolution_steps for side in (width, height))
        return io.NodeOutput(pixels.resized(image, width, height, upscale_method))


class ImageScaleToMaxDimension(io.ComfyNode):
    """Resizes the longer side to a length."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        methods = ["area", "lanczos", "bilinear", "nearest-exact", "bicubic"]
        return io.Schema(
            node_id="ImageScaleToMaxDimension",
            display_name="Scale Image to Max Dimension",
            category="image/upscaling",
            inputs=[
                io.Image.Input("image"),
                io.Combo.Input("upscale_method", options=methods),
                io.Int.Input("largest_size", default=512, min=0, max=MAX_SIDE, step=1),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image: Tensor, upscale_method: str, largest_size: int) -> io.NodeOutput:
        height, width = image.shape[1:3]
        longer = max(width, height)
        width, height = (
            largest_size if side == longer else round(side / longer * largest_size)
            for side in (width, height)
        )
        return io.NodeOutput(pixels.resized(image, width, height, upscale_method))


class MaskToImage(io.ComfyNode):
    """A mask as a grey picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MaskToImage",
            display_name="Convert Mask to Image",
            category="mask",
            inputs=[io.Mask.Input("mask")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, mask: Tensor) -> io.NodeOutput:
        planes = mask.reshape(-1, *mask.shape[-2:], 1)
        return io.NodeOutput(planes.expand(-1, -1, -1, 3))


class ImageToMask(io.ComfyNode):
    """One channel of a picture as a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageToMask",
            display_name="Convert Image to Mask",
            category="mask",
            inputs=[io.Image.Input("image"), io.Combo.Input("channel", options=_CHANNELS)],
            outputs=[io.Mask.Output()],
        )

    @classmethod
    def execute(cls, image: Tensor, channel: str) -> io.NodeOutput:
        number = _CHANNELS.index(channel)
        if number >= image.shape[-1]:
            raise InputError(
                f"the picture has {image.shape[-1]} channels and no {channel}; choose another one"
            )
        return io.NodeOutput(image[..., number])


class InvertMask(io.ComfyNode):
    """What was masked is not, and the other way round."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InvertMask",
            display_name="Invert Mask",
            category="mask",
            inputs=[io.Mask.Input("mask")],
            outputs=[io.Mask.Output()],
        )

    @classmethod
    def execute(cls, mask: Tensor) -> io.NodeOutput:
        return io.NodeOutput(1.0 - mask)


class ImageCrop(io.ComfyNode):
    """A part of a picture; what would lie outside is left out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageCrop",
            display_name="Image Crop",
            category="image/transform",
            inputs=[
                io.Image.Input("image"),
                io.Int.Input("width", default=512, min=1, max=MAX_SIDE, step=1),
                io.Int.Input("height", default=512, min=1, max=MAX_SIDE, step=1),
                io.Int.Input("x", default=0, min=0, max=MAX_SIDE, step=1),
                io.Int.Input("y", default=0, min=0, max=MAX_SIDE, step=1),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image: Tensor, width: int, height: int, x: int, y: int) -> io.NodeOutput:
        x, y = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
        part = image[:, y : y + height, x : x + width]
        return io.NodeOutput(part.clone())  # a view would keep the whole picture


class ImagePadForOutpaint(io.ComfyNode):
    """Grey borders, and a mask of them that fades into the picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        sides = [
            io.Int.Input(name, default=0, min=0, max=MAX_SIDE, step=8)
            for name in ("left", "top", "right", "bottom")
        ]
        return io.Schema(
            node_id="ImagePadForOutpaint",
            display_name="Pad Image for Outpainting",
            category="image",
            inputs=[
                io.Image.Input("image"),
                *sides,
                io.Int.Input("feathering", default=40, min=0, max=MAX_SIDE, step=1),
            ],
            outputs=[io.Image.Output(), io.Mask.Output()],
        )

    @classmethod
    def execute(
        cls, image: Tensor, left: int, top: int, right: int, bottom: int, feathering: int
    ) -> io.NodeOutput:
        height, width = image.shape[1:3]
        borders = (left, right, top, bottom)
        padded = pad(image.movedim(-1, 1), borders, value=0.5).movedim(1, -1).contiguous()
        inside = torch.zeros(height, width)
        if 0 < feathering * 2 < min(height, width):
            rows = _distance(height, top != 0, bottom != 0, height)
            columns = _distance(width, left != 0, right != 0, width)
            distance = torch.minimum(rows[:, None], columns)
            share = (feathering - distance).clamp(min=0).double() / feathering
            inside = (share * share).float()
        return io.NodeOutput(padded, pad(inside, borders, value=1.0)[None])


class ImageBlend(io.ComfyNode):
    """Two pictures as one; the second is cropped and resized to the size of the first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageBlend",
            display_name="Image Blend",
            category="image/postprocessing",
            inputs=[
                io.Image.Input("image1"),
                io.Image.Input("image2"),
                io.Float.Input("blend_factor", default=0.5, min=0.0, max=1.0, step=0.01),
                io.Combo.Input("blend_mode", options=_BLENDS),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(
        cls, image1: Tensor, image2: Tensor, blend_factor: float, blend_mode: str
    ) -> io.NodeOutput:
        missing = image1.shape[-1] - image2.shape[-1]  # what is too many is cut off by this
        image2 = pad(image2, (0, missing), value=1.0)
        if image1.shape != image2.shape:
            height, width = image1.shape[1:3]
            image2 = pixels.resized(image2, width, height, "bicubic", center=True)
        mixed = _blended(image1, image2, blend_mode)
        result = image1 * (1 - blend_factor) + mixed * blend_factor
        return io.NodeOutput(result.clamp(0, 1))


def _distance(length: int, before: bool, behind: bool, far: int) -> Tensor:
    """How far each place of a line is from the ends that have a border; `far` where none has."""
    places = torch.arange(length)
    first = places if before else torch.full((length,), far)
    return torch.minimum(first, length - places if behind else torch.full((length,), far))


def _blended(below: Tensor, above: Tensor, mode: str) -> Tensor:
    if mode == "multiply":
        return below * above
    if mode == "screen":
        return 1 - (1 - below) * (1 - above)
    if mode == "overlay":
        return torch.where(below <= 0.5, 2 * below * above, 1 - 2 * (1 - below) * (1 - above))
    if mode == "soft_light":
        darker = below - (1 - 2 * above) * below * (1 - below)
        curve = torch.where(below <= 0.25, ((16 * below - 12) * below + 4) * below, below.sqrt())
        return torch.where(above <= 0.5, darker, below + (2 * above - 1) * (curve - below))
    return below - above if mode == "difference" else above


NODES: tuple[type[io.ComfyNode], ...] = (
    GetImageSize,
    ImageScaleToTotalPixels,
    ImageScaleToMaxDimension,
    MaskToImage,
    ImageToMask,
    InvertMask,
    ImageCrop,
    ImagePadForOutpaint,
    ImageBlend,
)
