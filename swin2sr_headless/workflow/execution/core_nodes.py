"""The nodes of ComfyUI itself that graphs of images need, for the host without a ComfyUI.

Names, inputs and results are those of ComfyUI 0.3.64, so that a workflow gives the same pixels.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import torch
from PIL import PngImagePlugin
from torch import Tensor

from swin2sr_core.errors import InputError

from ...comfy_stub import folder_paths
from ...comfy_stub import io_types as io
from ..document.paths import escape
from . import pixels

MAX_SIDE = 16384
METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
CHANNELS = ["alpha", "red", "green", "blue"]


class LoadImage(io.ComfyNode):
    """Reads a picture of the input folder; all frames of an animation."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadImage",
            display_name="Load Image",
            category="image",
            inputs=[_picture_choice()],
            outputs=[io.Image.Output(), io.Mask.Output()],
        )

    @classmethod
    def validate_inputs(cls, image: str | None) -> bool | str:
        return is_there(image)

    @classmethod
    def fingerprint_inputs(cls, image: str) -> object:
        return pixels.file_digest(input_path(image))

    @classmethod
    def execute(cls, image: str) -> io.NodeOutput:
        return io.NodeOutput(*pixels.read_image(input_path(image)))


class LoadImageMask(io.ComfyNode):
    """Reads one channel of a picture as a mask."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadImageMask",
            display_name="Load Image (as Mask)",
            category="mask",
            inputs=[_picture_choice(), io.Combo.Input("channel", options=CHANNELS)],
            outputs=[io.Mask.Output()],
        )

    @classmethod
    def validate_inputs(cls, image: str | None) -> bool | str:
        return is_there(image)

    @classmethod
    def fingerprint_inputs(cls, image: str, channel: str) -> object:
        return pixels.file_digest(input_path(image))

    @classmethod
    def execute(cls, image: str, channel: str) -> io.NodeOutput:
        return io.NodeOutput(pixels.read_channel(input_path(image), channel))


class SaveImage(io.ComfyNode):
    """Writes pictures as PNG into the output folder, with the prompt in them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaveImage",
            display_name="Save Image",
            category="image",
            inputs=[
                io.Image.Input("images"),
                io.String.Input("filename_prefix", default="ComfyUI"),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: Tensor, filename_prefix: str) -> io.NodeOutput:
        folder = folder_paths.get_output_directory()
        return io.NodeOutput(ui=_save(images, filename_prefix, folder, "output", 4, cls.hidden))


class PreviewImage(io.ComfyNode):
    """Writes pictures into the folder for temporary files."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PreviewImage",
            display_name="Preview Image",
            category="image",
            inputs=[io.Image.Input("images")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: Tensor) -> io.NodeOutput:
        prefix = f"ComfyUI_temp_{secrets.token_hex(3)}"
        folder = folder_paths.get_temp_directory()
        return io.NodeOutput(ui=_save(images, prefix, folder, "temp", 1, cls.hidden))


class ImageCompare(io.ComfyNode):
    """Writes two batches into the folder for temporary files, for a page to lay them over."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        view = io.Custom("IMAGECOMPARE").Input("compare_view", extra_dict={"socketless": True})
        return io.Schema(
            node_id="ImageCompare",
            display_name="Compare Images",
            category="image",
            inputs=[
                io.Image.Input("image_a", optional=True),
                io.Image.Input("image_b", optional=True),
                view,
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        compare_view: object,
        image_a: Tensor | None = None,
        image_b: Tensor | None = None,
    ) -> io.NodeOutput:
        folder = folder_paths.get_temp_directory()
        shown: dict[str, object] = {}
        for side, images in (("a", image_a), ("b", image_b)):
            prefix = f"comfy.compare.{side}_temp_{secrets.token_hex(3)}"
            saved = {} if images is None else _save(images, prefix, folder, "temp", 1, cls.hidden)
            shown[f"{side}_images"] = saved.get("images", [])
        return io.NodeOutput(ui=shown)


class ImageScale(io.ComfyNode):
    """Resizes to a size; a side of 0 follows from the other."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageScale",
            display_name="Upscale Image",
            category="image/upscaling",
            inputs=[
                io.Image.Input("image"),
                io.Combo.Input("upscale_method", options=METHODS),
                io.Int.Input("width", default=512, min=0, max=MAX_SIDE, step=1),
                io.Int.Input("height", default=512, min=0, max=MAX_SIDE, step=1),
                io.Combo.Input("crop", options=["disabled", "center"]),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(
        cls, image: Tensor, upscale_method: str, width: int, height: int, crop: str
    ) -> io.NodeOutput:
        if not width and not height:
            return io.NodeOutput(image)
        rows, columns = image.shape[1:3]
        width = width or max(1, round(columns * height / rows))
        height = height or max(1, round(rows * width / columns))
        return io.NodeOutput(pixels.resized(image, width, height, upscale_method, crop == "center"))


class ImageScaleBy(io.ComfyNode):
    """Resizes by a factor."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageScaleBy",
            display_name="Upscale Image By",
            category="image/upscaling",
            inputs=[
                io.Image.Input("image"),
                io.Combo.Input("upscale_method", options=METHODS),
                io.Float.Input("scale_by", default=1.0, min=0.01, max=8.0, step=0.01),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image: Tensor, upscale_method: str, scale_by: float) -> io.NodeOutput:
        height, width = (round(side * scale_by) for side in image.shape[1:3])
        if not height or not width:
            raise InputError(
                f"scale_by {scale_by:g} makes nothing of {image.shape[2]}x{image.shape[1]} pixels; "
                "choose a larger one"
            )
        return io.NodeOutput(pixels.resized(image, width, height, upscale_method))


class ImageInvert(io.ComfyNode):
    """The negative."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageInvert",
            display_name="Invert Image",
            category="image",
            inputs=[io.Image.Input("image")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image: Tensor) -> io.NodeOutput:
        return io.NodeOutput(1.0 - image)


class ImageBatch(io.ComfyNode):
    """Two batches as one; the second is cropped and resized to the size of the first."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageBatch",
            display_name="Batch Images",
            category="image",
            inputs=[io.Image.Input("image1"), io.Image.Input("image2")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image1: Tensor, image2: Tensor) -> io.NodeOutput:
        image1, image2 = pixels.with_same_channels(image1, image2)
        if image1.shape[1:] != image2.shape[1:]:
            height, width = image1.shape[1:3]
            image2 = pixels.resized(image2, width, height, "bilinear", center=True)
        return io.NodeOutput(torch.cat((image1, image2)))


class EmptyImage(io.ComfyNode):
    """Pictures of one colour."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EmptyImage",
            display_name="EmptyImage",
            category="image",
            inputs=[
                io.Int.Input("width", default=512, min=1, max=MAX_SIDE, step=1),
                io.Int.Input("height", default=512, min=1, max=MAX_SIDE, step=1),
                io.Int.Input("batch_size", default=1, min=1, max=4096),
                io.Int.Input("color", default=0, min=0, max=0xFFFFFF, step=1),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, width: int, height: int, batch_size: int, color: int) -> io.NodeOutput:
        parts = [(color >> shift & 0xFF) / 0xFF for shift in (16, 8, 0)]
        return io.NodeOutput(torch.tensor(parts).expand(batch_size, height, width, 3).clone())


class PreviewAny(io.ComfyNode):
    """Shows a value as text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PreviewAny",
            display_name="Preview Any",
            category="utils",
            inputs=[io.AnyType.Input("source")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, source: object) -> io.NodeOutput:
        return io.NodeOutput(ui={"text": (_as_text(source),)})


NODES: tuple[type[io.ComfyNode], ...] = (
    LoadImage,
    LoadImageMask,
    SaveImage,
    PreviewImage,
    ImageCompare,
    ImageScale,
    ImageScaleBy,
    ImageInvert,
    ImageBatch,
    EmptyImage,
    PreviewAny,
)


def input_path(name: str) -> Path:
    """The file that an input names. Raises InputError for names that leave the folder."""
    path = Path(folder_paths.get_annotated_filepath(name))
    sentence = escape(name, "input", Path(folder_paths.get_input_directory()))
    if sentence and not name.endswith("]"):
        raise InputError(sentence)
    return path


def is_there(name: str | None, what: str = "picture") -> bool | str:
    """Whether an input's file exists; or what to do."""
    if name is None or input_path(name).is_file():  # None: it comes through a link
        return True
    return (
        f"there is no input {what} {name}; give it with --input {name}=FILE, or name the folder "
        "that has it with --input-dir DIR"
    )


def _picture_choice() -> io.Input:
    folder = Path(folder_paths.get_input_directory())
    files = sorted(p.name for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
    return io.Combo.Input("image", options=files, upload=io.UploadType.image)


def _save(
    images: Tensor, prefix: str, folder: str, kind: str, compression: int, hidden: io.HiddenHolder
) -> dict[str, object]:
    height, width = images.shape[1:3]
    place, name, number, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder, width, height
    )
    entries = []
    for index, image in enumerate(images):
        plain = name.replace("%batch_num%", str(index))
        file = f"{plain}_{number + index:05}_.png"
        pixels.write_png(image, Path(place, file), _metadata(hidden), compression)
        entries.append({"filename": file, "subfolder": subfolder, "type": kind})
    return {"images": entries}


def _metadata(hidden: io.HiddenHolder) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    if hidden.prompt is not None:
        info.add_text("prompt", json.dumps(hidden.prompt))
    extra = hidden.extra_pnginfo
    for name, value in extra.items() if isinstance(extra, dict) else ():
        info.add_text(str(name), json.dumps(value))
    return info


def _as_text(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, (str, int, float)):
        return str(value)
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return str(value)
