"""Where the regions come from: wired ones, the detector, or a mask; decided for a whole batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ..swin2sr_core.errors import InputError, ModelNotFoundError
from ..swin2sr_core.faces import Detector, Face, YuNet
from ..swin2sr_core.faces.detection import MODEL, load_detector, opencv
from ..swin2sr_core.faces.face import NEARLY
from ..swin2sr_core.models.catalog import resolve_model
from . import host
from .face_regions import mask_filters, mask_regions, regions_of
from .model_choice import DOWNLOAD
from .pictures import Pictures

# "(download)" is from when the detector had to be fetched: workflows that say it go on as before
SOURCES = ("auto", "detector", "detector" + DOWNLOAD, "regions", "mask")

_detectors: dict[tuple[Path, int], YuNet] = {}
_lock = threading.Lock()

Wanted = Callable[[Face], bool] | None


def find_regions(
    source: str, batch: Pictures, regions: object, mask: Tensor | None, score: float
) -> tuple[list[list[Face]], list[Wanted]]:
    """For every frame, its regions, and which of them the mask means.

    Raises InputError where the source is not wired, ModelNotFoundError where nothing is wired and
    there is no detector; both say what to do.
    """
    if source not in SOURCES:
        raise InputError.saying(
            "source_unknown",
            "source must be one of {known}, got {source}",
            known=", ".join(SOURCES),
            source=source,
        )
    frames, size = len(batch), batch.size
    if source == "regions" and regions is None:
        raise InputError.saying(
            "source_regions",
            "source is regions, and nothing is wired there; wire boxes, SEGS or MASK",
        )
    if source == "mask" and mask is None:
        raise InputError.saying(
            "source_mask", "source is mask, and none is wired; wire one, or choose another source"
        )
    if source == "regions" or (source == "auto" and regions is not None):
        return regions_of(regions, frames, size), mask_filters(mask, frames, size)
    if source == "mask" and mask is not None:
        return mask_regions(mask, frames, size), [None] * frames
    try:
        detector = the_detector()
    except ModelNotFoundError as error:
        if source == "auto" and mask is not None:
            return mask_regions(mask, frames, size), [None] * frames
        raise ModelNotFoundError.saying(
            "source_none",
            "there is nothing to tell where the faces are: {error}. Or wire regions "
            "(boxes, SEGS or a mask of another node)",
            error=error,
        ) from error
    found = [_detected(detector, batch, index, score - NEARLY) for index in range(frames)]
    return found, mask_filters(mask, frames, size)


def with_landmarks(faces: Sequence[Face], batch: Pictures, index: int) -> list[Face]:
    """The faces with the five points that a restorer needs, where the detector finds them."""
    if all(face.landmarks for face in faces):
        return list(faces)
    found = the_detector().detect(batch.frame(index).color)
    return [face if face.landmarks else _matched(face, found) for face in faces]


def the_detector() -> Detector:
    """The built-in detector, which comes with the package, loaded once.

    Raises ModelNotFoundError, which says what to install.
    """
    opencv()
    path = resolve_model(MODEL)
    key = path, path.stat().st_mtime_ns
    with _lock:
        if key not in _detectors:
            _detectors[key] = load_detector(path)
        return _detectors[key]


def _detected(detector: Detector, batch: Pictures, index: int, least: float) -> list[Face]:
    host.raise_if_interrupted()
    found = detector.detect(batch.frame(index).color)
    return [face for face in found if face.score >= least]


def _matched(face: Face, found: Sequence[Face]) -> Face:
    """The face with the points of the best of `found` whose centre lies in it."""
    inside = [
        other
        for other in found
        if face.x0 <= (other.x0 + other.x1) / 2 < face.x1
        and face.y0 <= (other.y0 + other.y1) / 2 < face.y1
    ]
    best = max(inside, key=lambda other: other.score, default=None)
    return face if best is None else replace(face, landmarks=best.landmarks)
