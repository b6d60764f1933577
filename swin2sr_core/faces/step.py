"""Faces of an upscaled frame, found and refined by another model: what --faces adds to a job."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ..models.model import Model
from ..pictures.frame import Frame
from ..progress import ShouldStop
from .detection import Detector
from .face import select_faces
from .refinement import RefineSettings, refine

FACE_MODEL = "lightweight-x2"
MIN_FACE = 16
"""Pixels: below this, what comes of a face is a guess."""

SCORE = 0.7
"""Confidence from which a detection counts; at 0.8 the detector misses half of a crowd's faces."""


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
    """Refines the faces of frames; `budget_bytes` is for one crop (None: what is free)."""

    detector: Detector
    model: Model
    budget_bytes: int | None = None
    settings: RefineSettings = field(default_factory=RefineSettings)

    def apply(
        self, frame: Frame, upscaled: Frame, should_stop: ShouldStop | None = None
    ) -> WithFaces:
        """`upscaled` with the faces of `frame` refined, itself where there are none."""
        started = time.perf_counter()
        height, width = frame.color.shape[2:]
        found = self.detector.detect(frame.color)
        faces, _ = select_faces(found, height, width, min_face=MIN_FACE, score=SCORE)
        made = refine(
            self.model,
            frame,
            upscaled,
            faces,
            self.settings,
            self.budget_bytes,
            should_stop=should_stop,
        )
        return WithFaces(made.frame, len(faces), time.perf_counter() - started, made.fallbacks)
