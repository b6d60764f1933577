"""What the options of `upscale` mean for one model: a picture job, and how files are written."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from swin2sr_core.faces.step import FACE_MODEL, FaceStep
from swin2sr_core.models.model import Model, load_model
from swin2sr_core.picture_job import PictureJob
from swin2sr_core.pictures.files.formats import KEPT_BYTES, format_of
from swin2sr_core.planning.picture_plan import PictureSettings

from .files import Writing


def job_for(
    args: argparse.Namespace,
    settings: PictureSettings,
    model: Model,
    faces: FaceStep | None,
    outputs: Sequence[Path],
) -> PictureJob:
    """The job for pictures that become `outputs`; results go to the file by rows where they can."""
    if faces is None and not args.compare:
        settings = replace(settings, streamed=max(KEPT_BYTES[format_of(path)] for path in outputs))
    return PictureJob(model, settings, faces=faces)


def writing_of(args: argparse.Namespace) -> Writing:
    """How files are to be read and written."""
    return Writing(
        args.bits,
        args.quality,
        args.overwrite,
        args.max_pixels,
        args.max_frames,
        args.strip_metadata,
    )


def face_model(args: argparse.Namespace) -> str:
    """The model that faces are computed with."""
    return args.face_model or FACE_MODEL


def face_step(args: argparse.Namespace) -> FaceStep | None:
    """What --faces and --face-model ask for; None where they are not given.

    Raises ModelNotFoundError, which names everything that is not here and how to get it.
    """
    if not args.faces and args.face_model is None:
        return None
    from swin2sr_core.faces import load_detector
    from swin2sr_core.faces.detection import check_faces

    check_faces(face_model(args))
    model = load_model(face_model(args), args.precision, args.device)
    return FaceStep(load_detector(), model, args.max_memory)
