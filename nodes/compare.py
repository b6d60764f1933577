"""Compare Images: before and after on top of one another, with a divider to drag."""

from __future__ import annotations

import uuid
from pathlib import Path

import torch
from comfy_api.latest import io
from PIL import Image
from torch import Tensor

from . import events, host, pictures
from .schema import CATEGORY, newer_fields

_PNG_COMPRESSION = 1
"""Files that are looked at once are better quick than small."""


class Swin2SRCompare(io.ComfyNode):
    """The node that shows two pictures as one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Swin2SR_Compare",
            display_name="Compare Images",
            category=CATEGORY,
            description=(
                "Shows two pictures on top of one another, with a divider to drag. Their sizes may "
                "differ: both fill the same area. Batches are shown pair by pair."
            ),
            inputs=[
                io.Image.Input(
                    "before", tooltip="Shown to the left of the divider: one picture or a batch."
                ),
                io.Image.Input(
                    "after", tooltip="Shown to the right of the divider: one picture or a batch."
                ),
            ],
            outputs=[],
            is_output_node=True,
            **newer_fields(search_aliases=["compare", "before after", "difference", "swin2sr"]),
        )

    @classmethod
    def execute(cls, before: Tensor, after: Tensor) -> io.NodeOutput:
        run = uuid.uuid4().hex[:12]
        with events.failures_told():
            names = {"a_images": _saved(before, f"{run}_a"), "b_images": _saved(after, f"{run}_b")}
        return io.NodeOutput(ui=names)


def _saved(images: Tensor, stem: str) -> list[dict[str, str]]:
    """Write B H W C into ComfyUI's temporary folder; the page's names for the files."""
    folder = host.temp_folder()
    folder.mkdir(parents=True, exist_ok=True)
    batch = pictures.take(images, None)
    names = []
    for number, picture in enumerate(batch.image):
        host.raise_if_interrupted()
        names.append(f"swin2sr_compare_{stem}_{number:05}.png")
        _write(picture, folder / names[-1])
    return [{"filename": name, "subfolder": "", "type": "temp"} for name in names]


def _write(picture: Tensor, path: Path) -> None:
    """H W C in 0..1 -> an 8-bit PNG, grey, RGB or RGBA."""
    pixels = picture.float().clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.save(path, compress_level=_PNG_COMPRESSION)
