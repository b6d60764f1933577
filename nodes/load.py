"""Load Swin2SR: a model by choice from a list, downloaded where the choice is a download."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakValueDictionary

from comfy_api.latest import io

from ..swin2sr_core.errors import Interrupted, Swin2SRError
from ..swin2sr_core.export.onnx_file import SUFFIX as ONNX
from ..swin2sr_core.machine.devices import resolve_precision
from ..swin2sr_core.models.catalog import CatalogEntry
from ..swin2sr_core.models.checkpoint import load_checkpoint
from ..swin2sr_core.models.model import Model, build_model, load_model
from ..swin2sr_core.planning.choices import PRECISIONS
from . import downloads, events, host, model_choice
from .managed import UpscaleModel
from .schema import CATEGORY, newer_fields

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
                        "Both compact models come with this node pack: compact-x4 for clean "
                        "pictures, compact-real-x4 for JPEGs, scans and old photographs. Files "
                        "are those of the model folders swin2sr and upscale_models. A name "
                        "marked (download) is fetched once into models/swin2sr when you run the"
                        " workflow (60-70 MB; the lightweight one less)."
                    ),
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default="auto",
                    tooltip=(
                        "Number type to compute in. auto: bf16 where the hardware is faster in it, "
                        "else fp32, the reference. bf16 and fp16 take half the memory; int8 "
                        "computes the linear layers in 8 bits."
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
            return [str(found), *file_version(found)] if isinstance(found, Path) else ["absent"]
        except (Swin2SRError, OSError):
            return ["missing"]

    @classmethod
    def execute(cls, model: str, precision: str) -> io.NodeOutput:
        with events.failures_told():
            return io.NodeOutput(_upscaler(model, precision))


def _upscaler(model: str, precision: str) -> UpscaleModel:
    found = model_choice.find(model)
    path = found if isinstance(found, Path) else _downloaded(found)
    exported = path.suffix.lower() == ONNX
    if not exported:
        precision = resolve_precision(precision, host.compute_device())
    version = file_version(path)
    upscaler = loaded(path, version, precision)
    if upscaler is None:
        upscaler = UpscaleModel(
            load_model(path, precision) if exported else _built(path, precision)
        )
        _alive[(str(path), *version, precision)] = upscaler
    return upscaler


def _built(path: Path, precision: str) -> Model:
    config, state = load_checkpoint(path)
    name = model_choice.name_of(path)
    return build_model(name, config, state, precision, host.offload_device(), host.compute_device())


def file_version(path: Path) -> tuple[int, int]:
    """Time and size: what changes when a file does."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def loaded(path: Path, version: tuple[int, int], precision: str) -> UpscaleModel | None:
    """The model of that version of a file, if something still holds it."""
    return _alive.get((str(path), *version, precision))


def _downloaded(entry: CatalogEntry) -> Path:
    """Fetch an official checkpoint into ComfyUI's models/swin2sr, with progress in the node."""
    try:
        return downloads.fetch(entry, host.Progress(), host.interrupted)
    except Interrupted:
        host.raise_if_interrupted()
        raise
