"""What the socket `regions` takes: boxes, SEGS and masks of other nodes, as the core's faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeGuard, runtime_checkable

import numpy as np
from torch import Tensor

from ..swin2sr_core.errors import InputError
from ..swin2sr_core.faces import Face, mask_blobs, touches_mask
from ..swin2sr_core.faces.blobs import THRESHOLD
from ..swin2sr_core.faces.compositing import Grid
from ..swin2sr_core.pictures.masks import fitting_mask
from ..swin2sr_core.sentences import sentence

Size = tuple[int, int]
"""Height and width of the original pictures."""

_EXPECTED = sentence(
    "regions_expected",
    "boxes ({{x, y, width, height}}, a list of them, or one list per picture), SEGS, or a mask",
)


@runtime_checkable
class Seg(Protocol):
    """An element of Impact Pack's SEGS: `bbox` is x0, y0, x1, y1 on the picture of the header."""

    bbox: Sequence[float]
    confidence: object


def regions_of(value: object, frames: int, size: Size) -> list[list[Face]]:
    """The regions of every frame, in its pixels; what is given once counts for all frames.

    SEGS and masks of another size than the pictures are scaled, where the shape is the same.
    Raises InputError for anything else, and for a number of lists or masks that does not fit.
    """
    if isinstance(value, Tensor):
        return mask_regions(value, frames, size)
    if isinstance(value, Mapping):
        return [[_box(value)]] * frames
    if _is_segs(value):
        return [_segs(value, size)] * frames
    if isinstance(value, list | tuple):
        return _lists(value, frames)
    raise InputError.saying(
        "regions_kind",
        "regions is a {kind}, expected {expected}",
        kind=type(value).__name__,
        expected=_EXPECTED,
    )


def mask_regions(mask: Tensor, frames: int, size: Size) -> list[list[Face]]:
    """The connected pieces of a mask, B|1 H W, as regions of every frame; none of an empty one."""
    if not bool((mask >= THRESHOLD).any()):  # whatever its size: Load Image makes such, of 64 x 64
        return [[] for _ in range(frames)]
    mask = fitting_mask(mask, frames, size)
    x, y = size[1] / mask.shape[2], size[0] / mask.shape[1]
    return [[f.scaled(x, y) for f in mask_blobs(_frame(mask, i))] for i in range(frames)]


def mask_filters(
    mask: Tensor | None, frames: int, size: Size
) -> list[Callable[[Face], bool] | None]:
    """For every frame, whether a face is one that the mask means; None where every face is.

    A mask of nothing at all is none: Load Image gives such a one for every opaque picture.
    """
    if mask is None or not bool(mask.any()):
        return [None] * frames
    checked = fitting_mask(mask, frames, size)
    x, y = checked.shape[2] / size[1], checked.shape[1] / size[0]

    def meant(index: int) -> Callable[[Face], bool]:
        return lambda face: touches_mask(face.scaled(x, y), _frame(checked, index))

    return [meant(index) for index in range(frames)]


def as_boxes(faces: Sequence[Face]) -> list[dict[str, object]]:
    """Faces as the core's BOUNDING_BOX has them; the inverse of what `regions_of` reads."""
    return [
        {
            "x": face.x0,
            "y": face.y0,
            "width": face.width,
            "height": face.height,
            "score": face.score,
            "label": "face",
        }
        for face in faces
    ]


def _frame(mask: Tensor, index: int) -> Tensor:
    return mask[min(index, len(mask) - 1)]


def _lists(value: Sequence[object], frames: int) -> list[list[Face]]:
    if all(isinstance(each, Mapping) for each in value):
        return [[_box(each) for each in value]] * frames
    if not all(isinstance(each, list | tuple) for each in value):
        kinds = ", ".join(sorted({type(each).__name__ for each in value}))
        raise InputError.saying(
            "regions_list",
            "regions is a list of {kinds}, expected {expected}",
            kinds=kinds,
            expected=_EXPECTED,
        )
    if len(value) not in (1, frames):
        raise InputError.saying(
            "regions_frames",
            "regions has boxes for {found} pictures, and there are {frames}; find the "
            "boxes on the same pictures",
            found=len(value),
            frames=frames,
        )
    per_frame = [[_box(box) for box in each] for each in value if isinstance(each, list | tuple)]
    return per_frame * frames if len(value) == 1 else per_frame


def _box(value: object) -> Face:
    if not isinstance(value, Mapping) or not {"x", "y", "width", "height"} <= value.keys():
        raise InputError.saying(
            "box_shape", "a box is {box}, expected {{x, y, width, height}}", box=str(value)[:80]
        )
    try:
        x, y, width, height = (float(value[key]) for key in ("x", "y", "width", "height"))
        score = float(value.get("score", 1.0))
    except (TypeError, ValueError) as error:
        raise InputError.saying(
            "box_numbers", "a box is {box}, expected numbers", box=str(value)[:120]
        ) from error
    return Face(x, y, x + width, y + height, score)


def _is_segs(value: object) -> TypeGuard[tuple[Sequence[int], Sequence[Seg]]]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    header, segs = value
    sizes = isinstance(header, list | tuple) and len(header) == 2
    numbers = sizes and all(isinstance(n, int | np.integer) for n in header)
    return numbers and isinstance(segs, list | tuple)


def _segs(value: tuple[Sequence[int], Sequence[Seg]], size: Size) -> list[Face]:
    (height, width), segs = value
    try:
        grid = Grid(*size, int(height), int(width))
    except (InputError, ZeroDivisionError) as error:
        raise InputError.saying(
            "segs_shape",
            "the SEGS belong to a picture of {width}x{height}, which has another shape "
            "than the image of {picture_width}x{picture_height}; find them on the same "
            "picture",
            width=width,
            height=height,
            picture_width=size[1],
            picture_height=size[0],
        ) from error
    return [_seg(seg).scaled(1 / grid.scale_x, 1 / grid.scale_y) for seg in segs]


def _seg(seg: Seg) -> Face:
    try:
        x0, y0, x1, y1 = (float(n) for n in seg.bbox)
        score = float(np.ravel(np.asarray(seg.confidence, dtype=np.float64))[0])
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise InputError.saying(
            "segs_element",
            "an element of the SEGS is {element}, expected a bbox of four numbers and a confidence",
            element=str(seg)[:80],
        ) from error
    return Face(x0, y0, x1, y1, score)
