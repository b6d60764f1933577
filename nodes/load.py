"""Load Swin2SR: a model by choice from a list, downloaded where the choice is a download."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakValueDictionary

from comfy_api.latest import io

from ..swin2sr_core.catalog import CatalogEntry
from ..swin2sr_core.checkpoint import load_checkpoint
from ..swin2sr_core.devices import resolve_precision
from ..swin2sr_core.downloading.download import download
from ..swin2sr_core.errors import Interrupted, Swin2SRError
from ..swin2sr_core.model import build_model
from . import host, model_choice
from .managed import UpscaleModel
from .schema import CATEGORY, newer_fields

PRECISIONS = ["auto", "fp32", "bf16", "fp16", "int8"]

_Key = tuple[str, int, int, str]
_alive: WeakValueDictionary[_Key, UpscaleModel] = WeakValueDictionary()
"""The models that something still holds, by path, time and size of the file, and precision."""


class Swin2SRLoad(io.ComfyNode):
    """The node that loads a model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Swin2SR_Load",
            display_name="Load Swin2SR",
            category=CATEGORY,
            description=(
                "Loads a Swin2SR upscaling model. The output works with Tiled Upscale x4 and with "
                "every other node that takes an upscale model."
            ),
            inputs=[
                io.Combo.Input(
                    "model",
                    options=model_choice.choices(),
                    default=model_choice.DEFAULT,
                    tooltip=(
                        "compact-x4 comes with this node pack. Files are those of the model "
                        "folders swin2sr and upscale_models. A name marked (download) is fetched "
                        "once into models/swin2sr when you run the workflow (60-70 MB; the "
                        "lightweight one less)."
                    ),
                ),
                io.Combo.Input(
                    "precision",
                    options=PRECISIONS,
                    default="auto",
                    tooltip=(
                        "Number type to compute in. auto: bf16 where the hardware has it, else "
                        "fp32, the reference. bf16 and fp16 take half the memory; int8 computes "
                        "the linear layers in 8 bits."
                    ),
                ),
            ],
            outputs=[
                io.UpscaleModel.Output(
                    "upscale_model",
                    display_name="model",
                    tooltip=(
                        "The model, for Tiled Upscale x4 or any node that takes an upscale model."
                    ),
                )
            ],
            **newer_fields(search_aliases=["swin2sr", "upscale model", "super resolution", "x4"]),
        )

    @classmethod
    def validate_inputs(cls, model: str | None) -> bool | str:
        """Accept every name that can be found, also one that is not in the list any more."""
        try:
            if model is not None:  # else it comes through a link, and is not known yet
                model_choice.find(model)
        except Swin2SRError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, model: str, precision: str) -> list[object]:
        """Time and size of the model's file: a changed file is loaded again."""
        try:
            found = model_choice.find(model)
            return [str(found), *_version(found)] if isinstance(found, Path) else ["absent"]
        except (Swin2SRError, OSError):
            return ["missing"]

    @classmethod
    def execute(cls, model: str, precision: str) -> io.NodeOutput:
        found = model_choice.find(model)
        path = found if isinstance(found, Path) else _downloaded(found)
        precision = resolve_precision(precision, host.compute_device())
        key = (str(path), *_version(path), precision)
        loaded = _alive.get(key)
        if loaded is None:
            config, state = load_checkpoint(path)
            name, device = model_choice.name_of(path), host.offload_device()
            core = build_model(name, config, state, precision, device)
            loaded = _alive[key] = UpscaleModel(core)
        return io.NodeOutput(loaded)


def _version(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _downloaded(entry: CatalogEntry) -> Path:
    """Fetch an official checkpoint into ComfyUI's models/swin2sr, with progress in the node."""
    try:
        return download(entry, host.download_folder(), host.Progress(), host.interrupted)
    except Interrupted:
        host.raise_if_interrupted()
        raise
