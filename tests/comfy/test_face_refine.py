"""Face-Region Refine inside ComfyUI: every kind of region, batches, bad input, both settings."""

import math
import sys
from collections import namedtuple

import numpy as np
import pytest
import torch
from drawn_face import drawn_face
from PIL import Image

# As Impact Pack defines it; its nodes fill `bbox` with numpy integers, and `confidence` with a
# number or an array of one.
SEG = namedtuple(
    "SEG",
    "cropped_image cropped_mask confidence crop_region bbox label control_net_wrapper",
    defaults=[None],
)

DEFAULTS = {
    "source": "auto",
    "crop_factor": 1.5,
    "strength": 1.0,
    "feather": 0.2,
    "min_face": 4,
    "max_faces": 0,
    "score": 0.7,
    "match_color": False,
    "ensemble": False,
    "restore_strength": 0.5,
}


@pytest.fixture(scope="module")
def node(node_list):
    (found,) = [n for n in node_list if n.GET_SCHEMA().node_id == "Swin2SR_FaceRefine"]
    return found


@pytest.fixture(scope="module")
def refine(node):
    """(image, model, **inputs) -> image, mask, faces, count, preview."""

    def run(image, model, **inputs):
        return node.EXECUTE_NORMALIZED(image=image, model=model, **(DEFAULTS | inputs)).args

    return run


@pytest.fixture(scope="module")
def error(pack):
    return pack("swin2sr_core.errors").Swin2SRError


@pytest.fixture
def model(put_model, load):
    put_model("faces.safetensors", scale=4)
    return load("faces.safetensors")


@pytest.fixture
def enlarged():
    """(image, scale) -> something of that size that is no network's work, B H W C."""

    def make(image, scale=4):
        return image.repeat_interleave(scale, 1).repeat_interleave(scale, 2).contiguous()

    return make


def box(x, y, width, height, **more):
    return {"x": x, "y": y, "width": width, "height": height, **more}


def segs(size, *boxes, confidence=0.9):
    items = []
    for x0, y0, x1, y1 in boxes:
        bbox = tuple(np.int64(n) for n in (x0, y0, x1, y1))
        mask = np.ones((y1 - y0, x1 - x0), np.float32)
        items.append(SEG(None, mask, np.array([confidence]), [x0, y0, x1, y1], bbox, "face"))
    return (size, items)


# -- regions of every kind ---------------------------------------------------------------------


@pytest.fixture
def picture(make_picture):
    return make_picture(48, 64)


def test_a_box_segs_and_a_mask_of_the_same_place_are_the_same(refine, picture, enlarged, model):
    painted = torch.zeros(1, 48, 64)
    painted[:, 12:28, 20:36] = 1
    base = enlarged(picture)
    results = [
        refine(picture, model, upscaled=base, regions=regions)
        for regions in (
            box(20, 12, 16, 16),
            [box(20, 12, 16, 16)],
            [[box(20, 12, 16, 16, score=0.9, label="face")]],
            segs((48, 64), (20, 12, 36, 28)),
            painted,
        )
    ]
    for image, mask, faces, count, preview in results:
        assert torch.equal(image, results[0][0])
        assert not torch.equal(image, base)
        assert torch.equal(image[mask == 0], base[mask == 0])
        assert (faces[0][0]["x"], faces[0][0]["y"]) == (80, 48)
        assert (faces[0][0]["width"], faces[0][0]["height"], count) == (64, 64, 1)
        assert preview.shape == (1, 48, 64, 3)


def test_segs_of_a_larger_picture_are_scaled(refine, picture, enlarged, model):
    base = enlarged(picture)
    own = refine(picture, model, upscaled=base, regions=segs((48, 64), (20, 12, 36, 28)))
    other = refine(picture, model, upscaled=base, regions=segs((192, 256), (80, 48, 144, 112)))
    assert torch.equal(own[0], other[0])


def test_segs_with_a_low_confidence_are_left_out(refine, picture, enlarged, model):
    found = segs((48, 64), (20, 12, 36, 28), confidence=0.5)
    assert refine(picture, model, upscaled=enlarged(picture), regions=found)[3] == 0
    assert refine(picture, model, upscaled=enlarged(picture), regions=found, score=0.4)[3] == 1


def test_no_regions_give_back_the_very_tensor(refine, picture, enlarged, model):
    base = enlarged(picture)
    for regions in ([], [[]], ((48, 64), []), torch.zeros(1, 64, 64)):
        image, mask, faces, count, _ = refine(picture, model, upscaled=base, regions=regions)
        assert image is base
        assert (not mask.any(), faces, count) == (True, [[]], 0)


def test_a_mask_as_source_means_its_pieces(refine, picture, enlarged, model):
    painted = torch.zeros(1, 48, 64)
    painted[:, 4:12, 4:20] = painted[:, 30:44, 40:60] = 1
    result = refine(picture, model, upscaled=enlarged(picture), mask=painted, source="mask")
    assert result[3] == 2
    assert [(b["x"], b["y"], b["width"]) for b in result[2][0]] == [(160, 120, 80), (16, 16, 64)]


def test_a_mask_filters_regions_and_an_empty_one_does_not(refine, picture, enlarged, model):
    regions, base = [box(4, 4, 16, 16), box(40, 20, 16, 16)], enlarged(picture)
    dab = torch.zeros(1, 48, 64)
    dab[:, 27:29, 47:49] = 1
    result = refine(picture, model, upscaled=base, regions=regions, mask=dab)
    assert [b["x"] for b in result[2][0]] == [160]
    # Load Image gives 64 x 64 of zeros for an opaque picture, whatever its size
    empty = torch.zeros(1, 64, 64)
    assert refine(picture, model, upscaled=base, regions=regions, mask=empty)[3] == 2


def test_without_an_upscaled_picture_the_model_makes_it(refine, picture, model, upscale):
    image, mask, _, count, _ = refine(picture, model, regions=box(20, 12, 16, 16))
    base, _ = upscale(picture, model)
    assert (image.shape, count) == ((1, 192, 256, 3), 1)
    assert torch.equal(image[mask == 0], base[mask == 0])


# -- batches, channels, what is wired ------------------------------------------------------------


def test_a_batch_of_0_1_and_2_faces_is_its_frames_one_by_one(refine, make_picture, enlarged, model):
    pictures = make_picture(40, 56, batch=3)
    base = enlarged(pictures)
    regions = [[], [box(8, 8, 20, 20)], [box(4, 4, 12, 12), box(30, 10, 18, 20)]]
    before = pictures.clone(), base.clone()
    image, mask, faces, count, preview = refine(pictures, model, upscaled=base, regions=regions)
    assert ([len(f) for f in faces], count, len(preview)) == ([0, 1, 2], 3, 3)
    assert torch.equal(image[0], base[0])
    for index in range(3):
        one = slice(index, index + 1)
        single = refine(pictures[one], model, upscaled=base[one], regions=[regions[index]])
        assert torch.equal(single[0], image[one])
        assert torch.equal(single[1], mask[one])
        assert torch.equal(single[4], preview[one])
    assert torch.equal(pictures, before[0])
    assert torch.equal(base, before[1])


def test_alpha_passes_through_and_grey_stays_grey(refine, make_picture, enlarged, model):
    picture = make_picture(32, 32, channels=4)
    base = enlarged(picture)
    image = refine(picture, model, upscaled=base, regions=box(8, 8, 16, 16))[0]
    assert torch.equal(image[..., 3], base[..., 3])
    assert not torch.equal(image[..., :3], base[..., :3])
    grey = make_picture(32, 32, channels=1).expand(-1, -1, -1, 3).contiguous()
    image = refine(grey, model, upscaled=enlarged(grey), regions=box(8, 8, 16, 16))[0]
    assert torch.equal(image[..., 0], image[..., 1])
    assert torch.equal(image[..., 0], image[..., 2])
    one = make_picture(32, 32, channels=1)
    image = refine(one, model, upscaled=enlarged(one), regions=box(8, 8, 16, 16))[0]
    assert image.shape == (1, 128, 128, 1)


def test_a_grey_picture_gets_one_channel_of_work(refine, make_picture, enlarged, put_model, load):
    put_model("grey.safetensors", scale=4, in_channels=1)
    picture = make_picture(32, 32)
    image = refine(
        picture, load("grey.safetensors"), upscaled=enlarged(picture), regions=box(8, 8, 16, 16)
    )[0]
    assert image.shape == (1, 128, 128, 3)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_an_upscaled_picture_of_any_scale(scale, refine, picture, enlarged, model):
    base = enlarged(picture, scale)
    image, mask, *_ = refine(picture, model, upscaled=base, regions=box(20, 12, 16, 16))
    assert torch.equal(image[mask == 0], base[mask == 0])
    assert not torch.equal(image, base)


def test_progress_reaches_its_end_and_cancel_works(
    refine, picture, enlarged, model, bar_steps, pack
):
    inputs = {"upscaled": enlarged(picture), "regions": box(20, 12, 16, 16)}
    refine(picture, model, **inputs)
    assert bar_steps[-1][0] == bar_steps[-1][1]
    mm = pack("nodes.host").mm
    mm.interrupt_current_processing(True)
    with pytest.raises(mm.InterruptProcessingException):
        refine(picture, model, **inputs)


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        (box(math.nan, 0, 8, 8), "expected finite numbers"),
        (box(0, 0, math.inf, 8), "expected finite numbers"),
        ([box(0, 0, 8, 8), {"x": 1}], "expected {x, y, width, height}"),
        (box("left", 0, 8, 8), "expected numbers"),
        ([[box(0, 0, 8, 8)]] * 2, "boxes for 2 pictures, and there are 1"),
        ("face", "regions is a str"),
        ([1, 2, 3, 4], "a list of int"),
        (torch.ones(1, 48, 48), "another shape than the image of 64x48"),
        (torch.ones(3, 48, 64), "expected 1 (or 1) x 48 x 64"),
        (segs((48, 48), (0, 0, 8, 8)), "a picture of 48x48, which has another shape"),
        (((48, 64), ["face"]), "an element of the SEGS is face"),
    ],
)
def test_regions_that_cannot_be_meant(regions, words, refine, picture, enlarged, model, error):
    with pytest.raises(error) as raised:
        refine(picture, model, upscaled=enlarged(picture), regions=regions)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_boxes_outside_and_of_no_size_are_skipped(refine, picture, enlarged, model):
    base = enlarged(picture)
    boxes = [box(-50, 0, 20, 20), box(80, 10, 20, 20), box(8, 8, 0, 20), box(8, 8, -9, 20)]
    image, _, _, count, preview = refine(picture, model, upscaled=base, regions=boxes)
    assert image is base
    assert count == 0
    assert preview.shape == (1, 48, 64, 3)


def test_a_thousand_boxes(refine, picture, enlarged, model):
    generator = torch.Generator().manual_seed(0)
    places = (torch.rand(1000, 2, generator=generator) * torch.tensor([60.0, 44.0])).tolist()
    boxes = [box(x, y, 8, 8) for x, y in places]
    image, _, _, count, _ = refine(picture, model, upscaled=enlarged(picture), regions=boxes)
    assert count == 1000
    assert bool(torch.isfinite(image).all())


@pytest.mark.parametrize(
    ("height", "width", "words"),
    [(192, 192, "expected the same"), (191, 128, "x2 in width and x3.98 in height")],
)
def test_axes_of_unlike_scale(height, width, words, refine, picture, model, error):
    base = torch.zeros(1, height, width, 3)
    with pytest.raises(error, match=words):
        refine(picture, model, upscaled=base, regions=box(8, 8, 16, 16))


def test_another_number_of_upscaled_pictures(refine, picture, enlarged, model, error):
    base = enlarged(picture).expand(2, -1, -1, -1)
    with pytest.raises(error, match="1 original and 2 upscaled"):
        refine(picture, model, upscaled=base, regions=[])


def test_a_source_that_is_not_wired(refine, picture, model, error):
    with pytest.raises(error, match="nothing is wired there"):
        refine(picture, model, source="regions")
    with pytest.raises(error, match="none is wired"):
        refine(picture, model, source="mask")
    with pytest.raises(error, match="source must be one of"):
        refine(picture, model, source="eyes")


def test_a_face_larger_than_the_memory_is_cut_up(
    refine, make_picture, enlarged, model, pack, monkeypatch
):
    picture = make_picture(160, 160)
    inputs = {"upscaled": enlarged(picture), "regions": box(20, 20, 120, 120)}
    ample = refine(picture, model, **inputs)[0]
    host = pack("nodes.host")
    for megabytes, bound in ((11, 1e-5), (8, 0.05)):  # whole with smaller bands; tiles
        monkeypatch.setattr(host, "free_bytes", lambda device, m=megabytes: m << 20)
        monkeypatch.setattr(host, "available_bytes", host.free_bytes)
        difference = (ample - refine(picture, model, **inputs)[0]).abs().max()
        assert difference <= bound
    monkeypatch.setattr(host, "free_bytes", lambda device: 1 << 20)
    monkeypatch.setattr(host, "available_bytes", host.free_bytes)
    with pytest.raises(pack("swin2sr_core.errors").BudgetError, match="smallest budget"):
        refine(picture, model, **inputs)


# -- the detector ----------------------------------------------------------------------------------


@pytest.fixture
def yunet(pack):
    """The detector that comes with the pack, loaded anew."""
    pytest.importorskip("cv2")
    yield
    pack("nodes.face_source")._detectors.clear()


@pytest.fixture
def astronaut(data_folder):
    with Image.open(data_folder / "images" / "astronaut.png") as image:
        pixels = np.asarray(image.convert("RGB").resize((128, 128), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels / np.float32(255))[None]


def test_the_detector_finds_the_astronaut(refine, astronaut, enlarged, model, yunet):
    result = refine(astronaut, model, upscaled=enlarged(astronaut), min_face=16)
    assert result[3] == 1
    (face,) = result[2][0]
    assert 150 < face["x"] < 210
    assert face["score"] > 0.8
    elsewhere = torch.zeros(1, 128, 128)
    elsewhere[:, 90:, 90:] = 1
    assert refine(astronaut, model, upscaled=enlarged(astronaut), mask=elsewhere)[3] == 0


def test_without_a_detector_it_says_what_to_do(refine, picture, model, error, pack, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setattr(pack("nodes.face_source"), "_detectors", {})
    with pytest.raises(error) as raised:
        refine(picture, model)
    text = str(raised.value)
    assert "pip install opencv-python-headless" in text
    assert "wire regions" in text
    # a mask will do
    painted = torch.zeros(1, 48, 64)
    painted[:, 12:28, 20:36] = 1
    assert refine(picture, model, mask=painted)[3] == 1


@pytest.mark.parametrize("source", ["auto", "detector", "detector (download)"])
def test_the_detector_comes_with_the_pack(
    refine, enlarged, model, yunet, source, monkeypatch, base
):
    """Also by the choice that once downloaded it, with no folder of models."""
    monkeypatch.setenv("SWIN2SR_MODELS_DIR", str(base / "nowhere"))
    pixels = np.asarray(drawn_face().resize((128, 128))) / np.float32(255)
    face = torch.from_numpy(pixels)[None]
    assert refine(face, model, upscaled=enlarged(face), source=source)[3] == 1


# -- a restorer ------------------------------------------------------------------------------------


class Identity(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.amount = torch.nn.Parameter(torch.zeros(1))

    def forward(self, face):
        assert torch.is_inference_mode_enabled()
        return face + self.amount


class Descriptor:
    """What spandrel gives for a loaded model, as far as it matters."""

    scale, supports_half, supports_bfloat16 = 1, False, False
    architecture: type | None = None

    def __init__(self, amount=0.0, grow=1):
        self.model, self.grow, self.calls = Identity(), grow, 0
        self.model.amount.data += amount

    def to(self, device):
        self.model.to(device)
        return self

    def __call__(self, face):
        assert face.shape == (1, 3, 512, 512)
        self.calls += 1
        return self.model(face).repeat_interleave(self.grow, 2).repeat_interleave(self.grow, 3)


def test_a_restorer_is_blended_over_the_result(refine, astronaut, enlarged, model, yunet):
    base = enlarged(astronaut)
    plain = refine(astronaut, model, upscaled=base)
    same = refine(astronaut, model, upscaled=base, restorer=Descriptor(), restore_strength=1.0)
    white = Descriptor(amount=9.0)
    bright = refine(astronaut, model, upscaled=base, restorer=white, restore_strength=0.5)
    # one that gives back what it got costs two resamplings of noise, and nothing else
    assert (plain[0] - same[0]).abs().mean() < 0.01
    difference = bright[0] - plain[0]
    assert white.calls == 1
    assert float(difference[0, 105, 225].max()) > 0.1, "the face is half white"
    assert torch.equal(bright[0][plain[1] == 0], base[plain[1] == 0])
    off = refine(astronaut, model, upscaled=base, restorer=white, restore_strength=0.0)
    assert torch.equal(off[0], plain[0])


def test_wired_boxes_get_their_landmarks_from_the_detector(
    refine, astronaut, enlarged, model, yunet
):
    white = Descriptor(amount=9.0)
    inputs = {"upscaled": enlarged(astronaut), "regions": box(44, 16, 26, 28)}
    refine(astronaut, model, restorer=white, **inputs)
    assert white.calls == 1


def test_gfpgan_gets_the_range_it_was_trained_with(refine, astronaut, enlarged, model, yunet):
    seen = []

    class Network(Identity):
        def forward(self, face, return_rgb=True, randomize_noise=True):
            seen.append((float(face.min()), return_rgb, randomize_noise))
            return face, []

    gfpgan = Descriptor()
    gfpgan.model = Network()
    gfpgan.architecture = type("Architecture", (), {"id": "GFPGAN"})
    base = enlarged(astronaut)
    result = refine(astronaut, model, upscaled=base, restorer=gfpgan, restore_strength=1.0)
    plain = refine(astronaut, model, upscaled=base)
    assert (gfpgan.calls, seen[0][1:]) == (0, (False, False))
    assert seen[0][0] < -0.9, "black is -1"
    assert (result[0] - plain[0]).abs().mean() < 0.01


def test_a_restorer_without_memory_on_its_device_goes_to_the_cpu(
    refine, astronaut, enlarged, model, yunet, pack, monkeypatch, caplog
):
    """Memory is made free once more before that."""
    module = pack("nodes.face_restorer")
    rooms = []
    monkeypatch.setattr(module.host, "make_room", lambda size, device: rooms.append(size))
    on_cpu = module.FaceRestorer._run
    monkeypatch.setattr(module.FaceRestorer, "precision", property(lambda self: torch.bfloat16))

    def run(self, face, dtype):
        if self._device.type != "cpu":
            raise RuntimeError("MPS backend out of memory")
        return on_cpu(self, face, dtype)

    monkeypatch.setattr(module.FaceRestorer, "_run", run)
    restorer = module.FaceRestorer(Descriptor())
    restorer._device = torch.device("meta")
    restorer._move = lambda device: None
    face = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    assert torch.equal(restorer(face), face)
    assert rooms == [module.MOST_BYTES]
    assert "using the CPU" in caplog.text


def test_what_is_no_restorer(refine, astronaut, enlarged, model, yunet, error):
    inputs = {"upscaled": enlarged(astronaut)}
    with pytest.raises(error, match="expected a face model"):
        refine(astronaut, model, restorer="GFPGAN", **inputs)
    with pytest.raises(error, match="1 x 3 x 1024 x 1024 of a face"):
        refine(astronaut, model, restorer=Descriptor(grow=2), **inputs)
    with pytest.raises(error, match="1 x 3 x 2048 x 2048 of a face"):
        refine(astronaut, model, restorer=model, **inputs)
