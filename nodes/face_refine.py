"""Face-Region Refine: compute where people look."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..swin2sr_core.faces import RefineSettings
from . import events
from .face_restorer import FaceRestorer
from .face_run import Choice, run
from .face_source import SOURCES
from .foreign_model import as_swin2sr
from .schema import CATEGORY, advanced, newer_fields


class Swin2SRFaceRefine(io.ComfyNode):
    """The node that refines faces and other regions."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="Swin2SR_FaceRefine",
            display_name="Face-Region Refine",
            category=CATEGORY,
            description=(
                "Computes faces, or any regions you wire, again with a better Swin2SR than the "
                "rest of the picture, and blends them in without a visible border. It adds "
                "sharpness where the model adds it, and keeps the person; it invents nothing. "
                "With the same model as the base nothing changes."
            ),
            inputs=[
                *_required_sockets(),
                *_region_widgets(),
                *_picture_widgets(),
                *_optional_sockets(),
            ],
            outputs=_outputs(),
            **newer_fields(
                has_intermediate_output=True,
                search_aliases=["swin2sr", "face", "detailer", "upscale", "restore", "region"],
            ),
        )

    @classmethod
    def execute(
        cls,
        image: Tensor,
        model: object,
        source: str,
        crop_factor: float,
        strength: float,
        feather: float,
        min_face: int,
        max_faces: int,
        score: float,
        match_color: bool,
        ensemble: bool,
        restore_strength: float,
        upscaled: Tensor | None = None,
        regions: object = None,
        mask: Tensor | None = None,
        restorer: object = None,
    ) -> io.NodeOutput:
        with events.failures_told():
            choice = Choice(source, min_face, max_faces, score, regions, mask)
            settings = RefineSettings(
                crop_factor, strength, feather, match_color, ensemble, restore_strength
            )
            second = None if restorer is None else FaceRestorer(restorer)
            made = run(as_swin2sr(model), image, upscaled, choice, settings, second)
        outputs = (made.image, made.mask, made.faces, made.count, made.preview)
        return io.NodeOutput(*outputs, ui=events.kept(made.told))


def _required_sockets() -> list[io.Input]:
    return [
        io.Image.Input(
            "image",
            tooltip="The original pictures, before any enlargement: faces are looked for here.",
        ),
        io.UpscaleModel.Input(
            "model",
            tooltip=(
                "The better model, for the faces: from Load Swin2SR, or a Swin2SR that Load "
                "Upscale Model has loaded."
            ),
        ),
    ]


def _region_widgets() -> list[io.Input]:
    return [
        io.Combo.Input(
            "source",
            options=list(SOURCES),
            default="auto",
            tooltip=(
                "What tells where. auto: regions if wired, else the detector, else the mask. "
                "The detector needs OpenCV; detector (download) is the same."
            ),
        ),
        io.Float.Input(
            "crop_factor",
            default=1.5,
            min=1.0,
            max=4.0,
            step=0.1,
            tooltip="How much is refined around a face: 1.5 is half as wide and high again.",
        ),
        io.Float.Input(
            "strength",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="How much of the change is taken. 0 leaves the picture as it is.",
        ),
        io.Float.Input(
            "feather",
            default=0.2,
            min=0.0,
            max=0.5,
            step=0.05,
            tooltip="Soft border of a region, as a part of its shorter side.",
        ),
        io.Int.Input(
            "min_face",
            default=16,
            min=0,
            max=4096,
            tooltip="Smaller faces are left as they are: longer side in pixels of the original.",
        ),
        io.Int.Input(
            "max_faces",
            default=0,
            min=0,
            max=1000,
            tooltip="The most faces of one picture, largest first. 0: all.",
        ),
        io.Float.Input(
            "score",
            default=0.7,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Confidence threshold, for wired detectors too. Higher: fewer faces.",
        ),
    ]


def _picture_widgets() -> list[io.Input]:
    inputs = [
        io.Boolean.Input(
            "match_color",
            default=False,
            tooltip="Take brightness and hue from the base, and only the detail from the model.",
        ),
        io.Boolean.Input(
            "ensemble",
            default=False,
            tooltip=(
                "Self-ensemble (TTA), the mean of eight rotated and flipped copies: 8 times the "
                "work for about 0.02 dB."
            ),
        ),
        io.Float.Input(
            "restore_strength",
            default=0.5,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="How much of the restorer's face is taken, where one is wired.",
        ),
    ]
    return [advanced(each) for each in inputs]


def _optional_sockets() -> list[io.Input]:
    return [
        io.Image.Input(
            "upscaled",
            optional=True,
            tooltip=(
                "The enlarged pictures that the faces go into, of any upscaler. Without it the "
                "model makes them, too."
            ),
        ),
        io.MultiType.Input(
            "regions",
            types=[io.Custom("BOUNDING_BOX"), io.SEGS, io.Mask],
            optional=True,
            tooltip=(
                "Regions that another node has found: boxes, Impact Pack's SEGS, or a mask, of "
                "which every connected piece is one."
            ),
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip=(
                "Which faces: those in whose middle something is painted. With source mask, the "
                "regions themselves. An empty mask is ignored."
            ),
        ),
        io.UpscaleModel.Input(
            "restorer",
            optional=True,
            tooltip=(
                "A second model for aligned faces of 512 px (GFPGAN, RestoreFormer) from Load "
                "Upscale Model, blended over the result. It may change how a person looks."
            ),
        ),
    ]


def _outputs() -> list[io.Output]:
    return [
        io.Image.Output(
            "refined", display_name="image", tooltip="The enlarged pictures with refined faces."
        ),
        io.Mask.Output(
            "weights",
            display_name="mask",
            tooltip="How much of each pixel is new: 0 is exactly the base.",
        ),
        io.Custom("BOUNDING_BOX").Output(
            "boxes",
            display_name="faces",
            tooltip="The refined faces, one list per picture, in pixels of the result.",
        ),
        io.Int.Output("number", display_name="count", tooltip="How many faces were refined."),
        io.Image.Output(
            "boxes_drawn",
            display_name="preview",
            tooltip="The originals with boxes and scores, and why a face was skipped.",
        ),
    ]
