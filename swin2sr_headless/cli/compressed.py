"""Strongly compressed JPEGs among the inputs, for which there is a model that suits better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

_CLEAN, _REAL = "compact-x4", "compact-real-x4"

_STRONG = 75
"""Qualities below this one are strong: there compact-real-x4 comes nearer to the originals."""

_LUMINANCE = np.array(
    (
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    )
)
"""The table of ITU-T T.81, K.1, which encoders scale; row by row."""


def better_model(model: str, pictures: Sequence[Path]) -> list[str]:
    """One sentence for all pictures where compact-x4 is to enlarge a strongly compressed JPEG."""
    if model.strip().lower() != _CLEAN:
        return []
    for path in pictures:
        quality = jpeg_quality(path)
        if quality is not None and quality < _STRONG:
            return [
                f"{path.name} is strongly compressed (JPEG of about quality {quality}): "
                f"--model {_REAL} suits such pictures better"
            ]
    return []


def jpeg_quality(path: Path) -> int | None:
    """The quality, 1 to 100 as libjpeg counts, whose table is nearest to the file's for luminance.

    None for what is no JPEG, or cannot be read: that is told when it is enlarged.
    """
    try:
        with path.open("rb") as file:
            if file.read(2) != b"\xff\xd8":
                return None
        with Image.open(path, formats=["JPEG"]) as image:
            tables: dict[int, list[int]] = getattr(image, "quantization", {})
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    if len(tables.get(0, ())) != _LUMINANCE.size:
        return None
    return 1 + int(np.abs(_scaled(np.arange(1, 101)) - tables[0]).sum(1).argmin())


def _scaled(qualities: np.ndarray) -> np.ndarray:
    """The tables that libjpeg makes for these qualities: qualities x 64."""
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    return np.clip((_LUMINANCE * percent[:, None] + 50) // 100, 1, 255)
