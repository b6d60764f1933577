"""OpenCV's YuNet on real pictures, and what is said where it cannot be had."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from swin2sr_core import CheckpointError, InputError, ModelNotFoundError
from swin2sr_core.faces import YuNet, load_detector
from swin2sr_core.pictures.resize import resize

NAME = "face_detection_yunet_2023mar.onnx"


@pytest.fixture(scope="module")
def detector(data_folder):
    pytest.importorskip("cv2", reason="the extra `faces` is not installed")
    return load_detector(data_folder / "weights" / NAME)


@pytest.fixture(scope="module")
def picture(data_folder):
    def read(name):
        with Image.open(data_folder / "images" / name) as image:
            pixels = np.asarray(image.convert("RGB")) / np.float32(255)
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()

    return read


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


def test_the_half_scale_pass_finds_what_noise_hides(detector, picture, data_folder):
    image = picture("astronaut.png")
    generator = torch.Generator().manual_seed(0)
    noisy = (image + 0.3 * torch.randn(image.shape, generator=generator)).clamp(0, 1)
    single = YuNet(data_folder / "weights" / NAME, half_scale=False)

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


def test_it_says_nothing_on_standard_error(data_folder, capfd):
    pytest.importorskip("cv2")
    load_detector(data_folder / "weights" / NAME).detect(torch.zeros(1, 3, 64, 64))
    assert capfd.readouterr().err == ""


def test_shapes_that_are_no_picture(detector):
    with pytest.raises(InputError, match="got 2 x 3 x 8 x 8"):
        detector.detect(torch.zeros(2, 3, 8, 8))


def test_without_opencv_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ModelNotFoundError, match="pip install opencv-python-headless"):
        load_detector()


def test_without_the_file_it_says_how_to_get_it(monkeypatch, tmp_path):
    pytest.importorskip("cv2")
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match="swin2sr models download yunet"):
        load_detector()


def test_a_damaged_file_is_told(tmp_path, capfd):
    pytest.importorskip("cv2")
    path = tmp_path / NAME
    path.write_bytes(b"not an onnx file")
    with pytest.raises(CheckpointError, match="no face detector that OpenCV can read"):
        load_detector(path)
