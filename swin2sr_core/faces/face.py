"""A face (or any other region) in a picture, and which of them are worth another look."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ..errors import InputError

NEARLY = 0.2
"""How far below the asked-for score something may be and still be worth showing as left out."""

Point = tuple[float, float]
"""x and y, in pixels."""


@dataclass(frozen=True)
class Face:
    """The rectangle `[x0, x1) x [y0, y1)` in pixels of the original picture, fractions allowed.

    `score` is 0..1, 1 where nobody gave one. `landmarks` are the eyes, the tip of the nose and the
    corners of the mouth, left before right as they are seen in the picture; empty where unknown.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float = 1.0
    landmarks: tuple[Point, ...] = ()

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def size(self) -> float:
        """The longer side: so that a line of text is as large as it is long."""
        return max(self.width, self.height)

    def clipped(self, height: int, width: int) -> Face:
        """The part inside a picture of height x width; its sides may be zero or negative."""
        return replace(
            self,
            x0=max(self.x0, 0),
            y0=max(self.y0, 0),
            x1=min(self.x1, width),
            y1=min(self.y1, height),
        )

    def scaled(self, x: float, y: float) -> Face:
        """The same place in a picture that is `x` times as wide and `y` times as high."""
        landmarks = tuple((px * x, py * y) for px, py in self.landmarks)
        return replace(
            self,
            x0=self.x0 * x,
            y0=self.y0 * y,
            x1=self.x1 * x,
            y1=self.y1 * y,
            landmarks=landmarks,
        )


@dataclass(frozen=True)
class Skipped:
    """A face that is left as it is, and why in a word or two: "11 px", "score 0.41"."""

    face: Face
    reason: str


def select_faces(
    faces: Iterable[Face],
    height: int,
    width: int,
    min_face: float = 0,
    max_faces: int = 0,
    score: float = 0,
    wanted: Callable[[Face], bool] | None = None,
) -> tuple[list[Face], list[Skipped]]:
    """Those to refine in a picture of height x width, largest first, and those left out.

    Boxes are cut off at the border. Left out are: what lies outside, is smaller than `min_face`
    (pixels, the longer side), scores below `score`, is not `wanted`, and what comes after the
    first `max_faces` (0: all). The order depends on the boxes alone, not on that of the input.
    Raises InputError for coordinates and scores that are no finite numbers.
    """
    kept, skipped = [], []
    for face in sorted(faces, key=_largest_first):
        _check_finite(face)
        inside = face.clipped(height, width)
        reason = _reason(face, inside, min_face, score, wanted)
        if not reason and max_faces and len(kept) == max_faces:
            reason = f"more than {max_faces}"
        if reason:
            skipped.append(Skipped(inside, reason))
        else:
            kept.append(inside)
    # cut off, a face may be smaller than one that came behind it
    return sorted(kept, key=_largest_first), skipped


def _reason(
    face: Face,
    inside: Face,
    min_face: float,
    score: float,
    wanted: Callable[[Face], bool] | None,
) -> str:
    if face.width <= 0 or face.height <= 0:
        return "no size"
    if inside.width <= 0 or inside.height <= 0:
        return "outside"
    if inside.size < min_face:
        return f"{inside.size:.0f} px"
    if face.score < score:
        return f"score {face.score:.2f}"
    if wanted is not None and not wanted(inside):
        return "not in the mask"
    return ""


def _largest_first(face: Face) -> tuple[float, ...]:
    return (-face.area, face.y0, face.x0, face.y1, face.x1, -face.score)


def _check_finite(face: Face) -> None:
    if not all(map(math.isfinite, (face.x0, face.y0, face.x1, face.y1, face.score))):
        raise InputError.saying(
            "region_not_finite",
            "a region is x {x0:g} to {x1:g}, y {y0:g} to {y1:g} with score {score:g}, "
            "expected finite numbers; look at what makes the regions",
            x0=face.x0,
            x1=face.x1,
            y0=face.y0,
            y1=face.y1,
            score=face.score,
        )
