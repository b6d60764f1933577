"""Finding faces: what a detector is, and OpenCV's YuNet as the one that is built in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import CheckpointError, InputError, ModelNotFoundError
from ..models.catalog import find_entry, resolve_model
from ..pictures.resize import resize
from .face import Face

MODEL = "yunet"
"""The catalog's name of the detector's file."""

_LEAST_SCORE = 0.3
"""What scores less is never a face; what is between this and the caller's limit can be shown."""

_SAME_FACE = 0.3
_LARGEST_SIDE = 2048
_SMALLEST_SIDE = 128
_NEXT_PASS = 1280
_MOST = 5000


class Detector(Protocol):
    """Anything that finds faces: the built-in YuNet, or another one in its place."""

    def detect(self, image: Tensor) -> list[Face]:
        """The faces in one picture, 1 x 1|3 x H x W in 0..1, in its pixels, best score first."""
        ...


class YuNet:
    """OpenCV's FaceDetectorYN (Wu et al., YuNet: A Tiny Millisecond-level Face Detector, 2023).

    Looks at the picture as it is (up to 2048 px) and once more at half its size: that finds faces
    in heavy noise and very large ones, for a quarter more time. May be shared between threads.
    """

    def __init__(self, path: Path, half_scale: bool = True) -> None:
        """`path` is the ONNX file; raises ModelNotFoundError without OpenCV, CheckpointError for
        a file that is none.
        """
        cv2 = opencv()
        self._half_scale = half_scale
        self._lock = Lock()
        # From memory: OpenCV opens no paths with other than the system's own letters on Windows.
        model = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        try:
            with _quiet(cv2):
                self._yunet = cv2.FaceDetectorYN.create(
                    "onnx", model, np.empty(0, np.uint8), (320, 320), _LEAST_SCORE, 0.3, _MOST
                )
        except cv2.error as error:
            raise CheckpointError.saying(
                "detector_file",
                "{path} is no face detector that OpenCV can read; reinstall swin2sr, which "
                "brings its own",
                path=path,
            ) from error

    def detect(self, image: Tensor) -> list[Face]:
        """The faces in one picture, 1 x 1|3 x H x W in 0..1, in its pixels, best score first.

        Scores are 0.3 to 1; at 0.7 nearly all are faces. Raises InputError for other shapes.
        """
        if image.dim() != 4 or image.shape[0] != 1 or image.shape[1] not in (1, 3):
            raise InputError(
                "faces are looked for in one picture of 1 x 1|3 x H x W, got "
                f"{' x '.join(str(n) for n in image.shape)}"
            )
        height, width = image.shape[2:]
        found = []
        for side in self._sides(max(height, width)):
            factor = side / max(height, width)
            size = max(1, round(height * factor)), max(1, round(width * factor))
            faces = self._one_pass(_as_bgr(resize(image.float(), *size)))
            found += [face.scaled(width / size[1], height / size[0]) for face in faces]
        return _without_doubles(found)

    def _sides(self, longest: int) -> list[int]:
        """The longest side of the picture in each pass."""
        first = min(longest, _LARGEST_SIDE)
        sides = [first]
        if self._half_scale:
            sides += [first // 2] if first // 2 >= _SMALLEST_SIDE else []
            sides += [first // 4] if first >= _NEXT_PASS else []
        return sides

    def _one_pass(self, pixels: NDArray[np.uint8]) -> list[Face]:
        with self._lock:
            self._yunet.setInputSize((pixels.shape[1], pixels.shape[0]))
            _, rows = self._yunet.detect(pixels)
        return [] if rows is None else [_face(row) for row in rows.tolist()]


def load_detector(
    path: Path | None = None, folder: Path | None = None, search_paths: Iterable[Path] = ()
) -> YuNet:
    """The built-in detector, by the file that comes with the package or another one of its kind.

    Raises ModelNotFoundError, which says what to install, and CheckpointError for a damaged file.
    """
    opencv()
    return YuNet(path or resolve_model(find_entry(MODEL).name, folder, search_paths))


def check_faces(model: str) -> None:
    """Whether faces can be found and computed with `model`, a catalog's name or a path.

    Raises ModelNotFoundError, which names everything that is missing at once, each with what to do.
    """
    wanted: tuple[Callable[[], object], ...] = (
        opencv,
        lambda: resolve_model(MODEL),
        lambda: resolve_model(model),
    )
    missing = []
    for find in wanted:
        try:
            find()
        except ModelNotFoundError as error:
            missing.append(str(error))
    if missing:
        raise ModelNotFoundError("; and ".join(missing))


def opencv() -> ModuleType:
    """The module cv2. Raises ModelNotFoundError, which says what to install, where it is not."""
    try:
        import cv2
    except ImportError as error:
        raise ModelNotFoundError.saying(
            "opencv_missing",
            "finding faces needs OpenCV, which is not installed: run `pip install "
            "opencv-python-headless`",
        ) from error
    if not hasattr(cv2, "FaceDetectorYN"):
        raise ModelNotFoundError.saying(
            "opencv_old",
            "finding faces needs OpenCV 4.8 or newer, and this is {version}: run `pip "
            "install --upgrade opencv-python-headless`",
            version=cv2.__version__,
        )
    return cv2


@contextmanager
def _quiet(cv2: ModuleType) -> Iterator[None]:
    """OpenCV 5 warns on standard error of a setting that its own detector makes."""
    log = getattr(getattr(cv2, "utils", None), "logging", None)
    if log is None:
        yield
        return
    before = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        log.setLogLevel(before)


def _as_bgr(image: Tensor) -> NDArray[np.uint8]:
    """1 x 1|3 x H x W in 0..1 -> H W 3, blue first, 0..255."""
    planes = image[0].expand(3, -1, -1).flip(0).clamp(0, 1).mul(255).round()
    return np.ascontiguousarray(planes.to("cpu", torch.uint8).permute(1, 2, 0).numpy())


def _face(row: Sequence[float]) -> Face:
    """A face of FaceDetectorYN's 15 numbers: x, y, width, height, five points, score."""
    x, y, width, height = row[:4]
    points = tuple((row[i], row[i + 1]) for i in range(4, 14, 2))
    return Face(x, y, x + width, y + height, min(row[14], 1.0), points)


def _without_doubles(faces: list[Face]) -> list[Face]:
    """The best of those that are the same face, seen in several passes."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: (-f.score, f.y0, f.x0)):
        if all(_overlap(face, other) <= _SAME_FACE for other in kept):
            kept.append(face)
    return kept


def _overlap(one: Face, other: Face) -> float:
    """Intersection over union."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one.area + other.area - shared) if shared else 0.0
