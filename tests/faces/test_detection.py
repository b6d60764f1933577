"""OpenCV's YuNet on real pictures, and what is said where it cannot be had."""

import sys

import numpy as np
import pytest
import torch
from drawn_face import BOX, drawn_face
from PIL import Image

from swin2sr_core import CheckpointError, InputError, ModelNotFoundError
from swin2sr_core.faces import YuNet, load_detector
from swin2sr_core.faces.detection import check_faces
from swin2sr_core.models.catalog import resolve_model
from swin2sr_core.pictures.resize import resize

NAME = "face_detection_yunet_2023mar.onnx"


@pytest.fixture(scope="module")
def detector():
    pytest.importorskip("cv2", reason="the extra `faces` is not installed")
    return load_detector()


@pytest.fixture(scope="module")
def drawn():
    return tensor(drawn_face())


def tensor(image):
    pixels = np.asarray(image.convert("RGB")) / np.float32(255)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()


@pytest.fixture(scope="module")
def picture(data_folder):
    def read(name):
        with Image.open(data_folder / "images" / name) as image:
            return tensor(image)

    return read


def test_a_drawn_face_is_found_once_and_where_it_is(detector, drawn):
    """Once, though the pass at half the size sees it too."""
    assert len(detector._sides(320)) == 2
    (face,) = detector.detect(drawn)
    assert face.score > 0.8
    box = (face.x0, face.y0, face.x1, face.y1)
    assert np.abs(np.subtract(box, BOX)).max() < 12
    left, right, nose, mouth, _ = face.landmarks
    assert left[0] < nose[0] < right[0]
    assert left[1] < nose[1] < mouth[1]
    half = resize(drawn, 160, 160)
    assert [f.score > 0.8 for f in YuNet(resolve_model("yunet"), False).detect(half)] == [True]


def test_two_faces_beside_each_other_are_two(detector, drawn):
    faces = detector.detect(torch.cat([drawn, drawn], 3))
    assert sorted(round(face.x0 / 320) for face in faces if face.score > 0.7) == [0, 1]


def test_the_detector_gets_blue_first(detector, monkeypatch):
    """As OpenCV and YuNet have it; a red picture has its 255 last."""
    seen = []

    class Stub:
        def setInputSize(self, size):
            self.size = size

        def detect(self, pixels):
            seen.append((self.size, pixels.copy()))
            return 0, None

    monkeypatch.setattr(detector, "_yunet", Stub())
    red = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 48, 64)
    assert detector.detect(red) == []
    ((size, pixels),) = seen
    assert (size, pixels.shape, pixels[0, 0].tolist()) == ((64, 48), (48, 64, 3), [0, 128, 255])


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("astronaut.png", 1, 1),
        ("gb82_girl.png", 1, 1),
        ("gb82_baby.png", 2, 2),
        ("kodak_14.png", 6, 9),
        ("OST_009.png", 0, 0),
        ("comic2.png", 0, 0),
        ("seoul.jpg", 0, 0),
        ("00003.png", 0, 0),
    ],
)
def test_as_many_faces_as_there_are(name, least, most, detector, picture):
    found = [face for face in detector.detect(picture(name)) if face.score >= 0.7]
    assert least <= len(found) <= most


def test_a_crowd(detector, picture):
    found = [face for face in detector.detect(picture("crowd_unsplash.webp")) if face.score >= 0.7]
    assert 100 <= len(found) <= 140


def test_the_astronauts_face_is_where_it_is(detector, picture):
    (face,) = detector.detect(picture("astronaut.png"))
    assert (abs(face.x0 - 181), abs(face.y0 - 70)) < (10, 10)
    assert (abs(face.x1 - 269), abs(face.y1 - 176)) < (10, 10)
    left, right, nose, mouth, _ = face.landmarks
    assert left[0] < nose[0] < right[0]
    assert left[1] < nose[1] < mouth[1]


def test_boxes_are_in_pixels_of_the_picture_that_came(detector, picture):
    """Also where it was reduced before it was looked at."""
    large = resize(picture("astronaut.png"), 2100, 2100)
    face = detector.detect(large)[0]
    assert abs(face.x0 * 512 / 2100 - 181) < 10
    assert abs(face.landmarks[0][0] * 512 / 2100 - 203) < 10


def test_the_half_scale_pass_finds_what_noise_hides(detector, picture):
    image = picture("astronaut.png")
    generator = torch.Generator().manual_seed(0)
    noisy = (image + 0.3 * torch.randn(image.shape, generator=generator)).clamp(0, 1)
    single = YuNet(resolve_model("yunet"), half_scale=False)

    def best(which):
        return max((face.score for face in which.detect(noisy)), default=0)

    assert best(single) < 0.5
    assert best(detector) > 0.8


def test_grey_pictures_and_repeated_calls(detector, picture):
    grey = picture("gb82_girl.png").mean(dim=1, keepdim=True)
    assert len([f for f in detector.detect(grey) if f.score >= 0.7]) == 1
    assert detector.detect(grey) == detector.detect(grey)
    tiny = torch.zeros(1, 3, 1, 1)
    assert detector.detect(tiny) == []


def test_it_says_nothing_on_standard_error(capfd):
    pytest.importorskip("cv2")
    load_detector().detect(torch.zeros(1, 3, 64, 64))
    assert capfd.readouterr().err == ""


def test_shapes_that_are_no_picture(detector):
    with pytest.raises(InputError, match="got 2 x 3 x 8 x 8"):
        detector.detect(torch.zeros(2, 3, 8, 8))


def test_without_opencv_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ModelNotFoundError, match="pip install opencv-python-headless"):
        load_detector()


def test_the_file_comes_with_the_package(monkeypatch, tmp_path):
    """Nothing has to be downloaded, and what an older version has downloaded is not asked for."""
    pytest.importorskip("cv2")
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path))
    (tmp_path / NAME).write_bytes(b"damaged")
    assert isinstance(load_detector(), YuNet)


def test_without_the_file_it_says_how_to_get_it(monkeypatch, tmp_path):
    pytest.importorskip("cv2")
    monkeypatch.setattr("swin2sr_core.models.catalog._BUNDLED_FOLDER", tmp_path / "gone")
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match="belongs to the package, is gone: reinstall"):
        load_detector()


def test_all_that_is_missing_is_told_at_once(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path))
    with pytest.raises(ModelNotFoundError) as told:
        check_faces("lightweight-x2")
    assert "pip install opencv-python-headless" in str(told.value)
    assert "swin2sr models download lightweight-x2" in str(told.value)


def test_a_damaged_file_is_told(tmp_path, capfd):
    pytest.importorskip("cv2")
    path = tmp_path / NAME
    path.write_bytes(b"not an onnx file")
    with pytest.raises(CheckpointError, match="no face detector that OpenCV can read"):
        load_detector(path)
