"""What --faces adds to an upscale: the faces of each frame, computed again by another model."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field

from swin2sr_core.faces import Detector, RefineSettings, load_detector, refine, select_faces
from swin2sr_core.models.model import Model, load_model
from swin2sr_core.pictures.frame import Frame

from .stopping import StopSwitch

FACE_MODEL = "lightweight-x2"
MIN_FACE = 16
SCORE = 0.7


@dataclass(frozen=True)
class WithFaces:
    """A frame with its faces refined, how many there were, and what did not go as planned.

    `seconds` went into finding and refining them.
    """

    frame: Frame
    count: int
    seconds: float
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class FaceStep:
    """Refines the faces of frames."""

    detector: Detector
    model: Model
    budget_bytes: int | None
    stop: StopSwitch
    settings: RefineSettings = field(default_factory=RefineSettings)

    def apply(self, frame: Frame, upscaled: Frame) -> WithFaces:
        """`upscaled` with the faces of `frame` refined; `upscaled` itself where there are none."""
        started = time.perf_counter()
        height, width = frame.color.shape[2:]
        found = self.detector.detect(frame.color)
        faces, _ = select_faces(found, height, width, min_face=MIN_FACE, score=SCORE)
        with self.stop.polled():
            made = refine(
                self.model,
                frame,
                upscaled,
                faces,
                self.settings,
                self.budget_bytes,
                should_stop=self.stop,
            )
        return WithFaces(made.frame, len(faces), time.perf_counter() - started, made.fallbacks)


def face_step(args: argparse.Namespace, stop: StopSwitch) -> FaceStep | None:
    """What --faces and --face-model ask for; None where they are not given.

    Raises ModelNotFoundError where the detector or the model is not here, and says how to get it.
    """
    if not args.faces and args.face_model is None:
        return None
    detector = load_detector()
    model = load_model(args.face_model or FACE_MODEL, args.precision, args.device)
    return FaceStep(detector, model, args.max_memory, stop)
