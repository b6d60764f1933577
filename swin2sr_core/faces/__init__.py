"""Faces and other regions: found, planned as crops, computed again, and blended in.

    from swin2sr_core import faces
    found = faces.load_detector().detect(image)
    result = faces.refine(model, frame, base, found, faces.RefineSettings())

Finding faces needs the extra `faces` (opencv-python-headless); all else needs nothing more than the
core. What needs torch is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .face import Face, Skipped, select_faces
from .planning import Region, plan_regions

if TYPE_CHECKING:
    from .alignment import Similarity, align, unalign
    from .blobs import mask_blobs, touches_mask
    from .compositing import Compositor, Grid
    from .detection import Detector, YuNet, load_detector
    from .preview import draw_faces
    from .refinement import Refined, RefineSettings, refine
    from .restoration import Restorer, restore

__all__ = [
    "Compositor",
    "Detector",
    "Face",
    "Grid",
    "RefineSettings",
    "Refined",
    "Region",
    "Restorer",
    "Similarity",
    "Skipped",
    "YuNet",
    "align",
    "draw_faces",
    "load_detector",
    "mask_blobs",
    "plan_regions",
    "refine",
    "restore",
    "select_faces",
    "touches_mask",
    "unalign",
]

_HOMES = {
    "Compositor": "compositing",
    "Detector": "detection",
    "Grid": "compositing",
    "RefineSettings": "refinement",
    "Refined": "refinement",
    "Restorer": "restoration",
    "Similarity": "alignment",
    "YuNet": "detection",
    "align": "alignment",
    "draw_faces": "preview",
    "load_detector": "detection",
    "mask_blobs": "blobs",
    "refine": "refinement",
    "restore": "restoration",
    "touches_mask": "blobs",
    "unalign": "alignment",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
