"""ComfyUI's own way to load an upscaling model, for files of Swin2SR."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from swin2sr_core.errors import ModelNotFoundError

from ...comfy_stub import folder_paths, model_management, progress
from ...comfy_stub import io_types as io
from ..hosts.pack import load_pack

_TILE, _OVERLAP = 512, 32


class UpscaleModel(Protocol):
    """What an upscale model can do: B C H W -> B C H*scale W*scale."""

    scale: int

    def to(self, device: torch.device) -> object: ...
    def __call__(self, picture: Tensor) -> Tensor: ...


class UpscaleModelLoader(io.ComfyNode):
    """Loads a Swin2SR file of the folder upscale_models."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        files = folder_paths.get_filename_list("upscale_models")
        return io.Schema(
            node_id="UpscaleModelLoader",
            display_name="Load Upscale Model",
            category="loaders",
            inputs=[io.Combo.Input("model_name", options=files)],
            outputs=[io.UpscaleModel.Output()],
        )

    @classmethod
    def validate_inputs(cls, model_name: str | None) -> bool | str:
        if model_name is None or folder_paths.get_full_path("upscale_models", model_name):
            return True
        folders = " or ".join(folder_paths.get_folder_paths("upscale_models"))
        return f"there is no model file {model_name} in {folders}; put it there, or name --models"

    @classmethod
    def fingerprint_inputs(cls, model_name: str) -> object:
        path = folder_paths.get_full_path("upscale_models", model_name)
        stat = Path(path).stat() if path else None
        return [path, stat.st_mtime_ns, stat.st_size] if stat else None

    @classmethod
    def execute(cls, model_name: str) -> io.NodeOutput:
        if folder_paths.get_full_path("upscale_models", model_name) is None:
            raise ModelNotFoundError(f"the model file {model_name} is gone; put it back")
        loader = load_pack()["Swin2SR_Load"]
        return loader.EXECUTE_NORMALIZED(model=model_name, precision="auto")


class ImageUpscaleWithModel(io.ComfyNode):
    """Upscales tile by tile, as ComfyUI does it with any model: tiles fade into each other."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ImageUpscaleWithModel",
            display_name="Upscale Image (using Model)",
            category="image/upscaling",
            inputs=[io.UpscaleModel.Input("upscale_model"), io.Image.Input("image")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, upscale_model: UpscaleModel, image: Tensor) -> io.NodeOutput:
        device = model_management.get_torch_device()
        upscale_model.to(device)
        planes = image.movedim(-1, 1)
        steps = len(image) * len(_tiles(planes.shape[2])) * len(_tiles(planes.shape[3]))
        bar = progress.ProgressBar(steps)
        frames = [_upscaled(each[None].to(device), upscale_model, bar) for each in planes]
        return io.NodeOutput(torch.cat(frames).movedim(1, -1).clamp(0, 1))


NODES: tuple[type[io.ComfyNode], ...] = (UpscaleModelLoader, ImageUpscaleWithModel)


def _upscaled(picture: Tensor, model: UpscaleModel, bar: progress.ProgressBar) -> Tensor:
    """1 C H W -> 1 3 H*scale W*scale."""
    scale = model.scale
    height, width = picture.shape[2:]
    total = torch.zeros(1, 3, round(height * scale), round(width * scale))
    weights = torch.zeros(1, 1, *total.shape[2:])
    for y, rows in _tiles(height):
        for x, columns in _tiles(width):
            model_management.throw_exception_if_processing_interrupted()
            part = model(picture[..., y : y + rows, x : x + columns]).cpu()
            fade = _fade(part.shape[2], part.shape[3], round(_OVERLAP * scale))
            place = (
                ...,
                slice(round(y * scale), round(y * scale) + part.shape[2]),
                slice(round(x * scale), round(x * scale) + part.shape[3]),
            )
            if part.shape == total.shape:
                return part
            total[place] += part * fade
            weights[place] += fade
            bar.update(1)
    return total / weights


def _tiles(length: int) -> list[tuple[int, int]]:
    """(start, length) of the tiles along one side."""
    if length <= _TILE:
        return [(0, length)]
    starts = (min(n, length - _OVERLAP) for n in range(0, length - _OVERLAP, _TILE - _OVERLAP))
    return [(start, min(_TILE, length - start)) for start in starts]


def _fade(height: int, width: int, border: int) -> Tensor:
    """Weights of a tile: 1, falling towards its edges."""

    def along(length: int) -> Tensor:
        line = torch.ones(length)
        for step in range(border if border < length else 0):
            line[step] *= (step + 1) / border
            line[length - 1 - step] *= (step + 1) / border
        return line

    return along(height)[:, None] * along(width)
