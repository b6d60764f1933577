"""ComfyUI's own way to load an upscaling model, for files of Swin2SR."""

from __future__ import annotations

from pathlib import Path

from swin2sr_core.errors import ModelNotFoundError

from ...comfy_stub import folder_paths
from ...comfy_stub import io_types as io
from ..hosts.pack import load_pack


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


NODES: tuple[type[io.ComfyNode], ...] = (UpscaleModelLoader,)
