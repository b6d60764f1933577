"""Tiled Upscale x4: pictures, batches and frames of video, within memory and without seams."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..swin2sr_core.planning.choices import EDGES, MAX_MEGAPIXELS, MAX_SHARPEN, STRATEGIES
from . import events
from .foreign_model import as_swin2sr
from .job import LEAST_SCALE, MOST_SCALE, node_settings
from .run import run
from .schema import CATEGORY, advanced, newer_fields


class Swin2SRTiledUpscale(io.ComfyNode):
    """The node that upscales."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Swin2SR_TiledUpscale",
            display_name="Tiled Upscale x4",
            category=CATEGORY,
            description=(
                "Upscales pictures with a Swin2SR model, within the memory there is. Unless you "
                "ask for tiles there are none: the result is exactly that of the whole network "
                "on the whole picture."
            ),
            inputs=[
                *_sockets(),
                *_picture_widgets(),
                *_memory_widgets(),
                _mask(),
                *_later_widgets(),
            ],
            outputs=[
                io.Image.Output(
                    "upscaled", display_name="image", tooltip="The upscaled pictures, RGB or RGBA."
                ),
                io.String.Output(
                    "report",
                    display_name="report",
                    tooltip=(
                        "What was done, as text: plan, forecast and measured memory, seconds, and "
                        "anything that did not go as planned."
                    ),
                ),
            ],
            **newer_fields(
                has_intermediate_output=True,
                search_aliases=["swin2sr", "upscale", "super resolution", "enlarge", "seamless"],
            ),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        model: object,
        scale: float,
        longest_side: int,
        sharpen: float,
        edge: str,
        strategy: str,
        tile_size: int,
        overlap: int,
        max_memory: float,
        mask: Tensor | None = None,
        max_input_side: int = 0,
        megapixels: float = 0.0,
    ) -> io.NodeOutput:
        with events.failures_told():
            settings = node_settings(
                scale,
                longest_side,
                sharpen,
                edge,
                strategy,
                tile_size,
                overlap,
                max_memory,
                max_input_side,
                megapixels,
            )
            upscaled, summary, told = run(as_swin2sr(model), image, mask, settings)
        return io.NodeOutput(upscaled, str(summary), ui=events.kept(told))


def _sockets() -> list[io.Input]:
    return [
        io.Image.Input(
            "image",
            tooltip=(
                "One picture, a batch, or the frames of a video. Grey stays grey, and an alpha "
                "channel is upscaled along."
            ),
        ),
        io.UpscaleModel.Input(
            "model",
            tooltip="From Load Swin2SR, or a Swin2SR that Load Upscale Model has loaded.",
        ),
    ]


def _picture_widgets() -> list[io.Input]:
    return [
        io.Float.Input(
            "scale",
            default=4.0,
            min=LEAST_SCALE,
            max=MOST_SCALE,
            step=0.05,
            tooltip=(
                "Size of the result relative to the input. Below what the model makes, the result "
                "is reduced with antialiasing, frame by frame; an x2 model is applied twice for x4."
            ),
        ),
        io.Int.Input(
            "longest_side",
            default=0,
            min=0,
            max=32768,
            tooltip="Longest side of the result in pixels, instead of scale. 0: use scale.",
        ),
        io.Float.Input(
            "sharpen",
            default=0.0,
            min=0.0,
            max=MAX_SHARPEN,
            step=0.05,
            tooltip=(
                "Sharpens the result without halos. 0: off. 0.2 suits line art; photographs seldom "
                "need any."
            ),
        ),
        io.Combo.Input(
            "edge",
            options=list(EDGES),
            default="reflect",
            tooltip=(
                "What lies beyond the border. reflect: the picture mirrored. wrap: the opposite "
                "side, so that a texture that tiles still tiles after upscaling."
            ),
        ),
    ]


def _memory_widgets() -> list[io.Input]:
    inputs = [
        io.Combo.Input(
            "strategy",
            options=list(STRATEGIES),
            default="auto",
            tooltip=(
                "auto: the fastest that fits into memory. whole: no tiles, all on the device. "
                "staged: no tiles, feature maps offloaded to the computer's memory (RAM). Both "
                "give the whole network's result. tiled: the classical way with tile_size and "
                "overlap, not exact."
            ),
        ),
        io.Int.Input(
            "tile_size",
            default=0,
            min=0,
            max=4096,
            step=8,
            tooltip="Side of a tile in pixels of the input, for strategy tiled. 0: chosen for you.",
        ),
        io.Int.Input(
            "overlap",
            default=0,
            min=0,
            max=512,
            step=8,
            tooltip="Pixels by which tiles overlap, for strategy tiled. 0: chosen for you.",
        ),
        io.Float.Input(
            "max_memory",
            default=0.0,
            min=0.0,
            max=1024.0,
            step=0.001,
            round=1e-6,  # else the page makes 0 of what is smaller: all that is free
            tooltip=(
                "Memory that upscaling may take, in GB, besides the model and the finished "
                "pictures. 0: what is free."
            ),
        ),
    ]
    return [advanced(each) for each in inputs]


def _mask() -> io.Input:
    return io.Mask.Input(
        "mask",
        optional=True,
        tooltip=(
            "Transparency of the picture, as Load Image gives it: the result then has an alpha "
            "channel."
        ),
    )


def _later_widgets() -> list[io.Input]:
    """Optional and last, so that workflows saved before there were any still run."""
    inputs = [
        io.Int.Input(
            "max_input_side",
            optional=True,
            default=0,
            min=0,
            max=16384,
            step=8,
            tooltip=(
                "Reduces pictures with a longer side to this many pixels first, and says so in the "
                "report. 0: never."
            ),
        ),
        io.Float.Input(
            "megapixels",
            optional=True,
            default=0.0,
            min=0.0,
            max=MAX_MEGAPIXELS,
            step=0.1,
            tooltip=(
                "Size of the result in megapixels (1024x1024 each), instead of scale. 0: use scale."
            ),
        ),
    ]
    return [advanced(each) for each in inputs]
