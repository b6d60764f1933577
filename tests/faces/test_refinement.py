"""Refinement as a whole: what must hold, on tiny networks and on the official ones."""

import copy
import logging
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from swin2sr_core import BudgetError, InputError, Interrupted, load_model, upscale
from swin2sr_core.faces import Face, RefineSettings, crops, plan_regions, refine
from swin2sr_core.faces.crops import CropRunner, turned_back, turned_by
from swin2sr_core.faces.widening import in_fp32
from swin2sr_core.pictures.frame import Frame
from swin2sr_core.pictures.resize import resize
from swin2sr_core.planning.tiles import Box


@pytest.fixture(scope="module")
def model(make_network, make_model, tiny_configs):
    return make_model(make_network(tiny_configs["direct-x4"]))


@pytest.fixture(scope="module")
def original(make_image):
    return Frame(make_image(3, 72, 88))


@pytest.fixture(scope="module")
def base(original):
    return Frame(resize(original.color, 288, 352).clamp(0, 1))


FACES = [Face(10, 12, 34, 40), Face(50, 30, 70, 50), Face(28, 20, 46, 44)]
SETTINGS = RefineSettings()


def exact(model, frame):
    return Frame(upscale(model, frame.color, 4).image)


# -- the laws --------------------------------------------------------------------------------------


def test_without_faces_or_strength_the_base_itself_comes_out(model, original, base):
    for faces, settings in (([], SETTINGS), (FACES, replace(SETTINGS, strength=0.0))):
        result = refine(model, original, base, faces, settings)
        assert result.frame is base
        assert not result.mask.any()


def test_outside_of_the_mask_it_is_the_base_bit_by_bit(model, original, base):
    before = original.color.clone(), base.color.clone()
    result = refine(model, original, base, FACES)
    outside = result.mask == 0
    assert 0.1 < outside.float().mean() < 0.9
    assert torch.equal(result.frame.color[..., outside], base.color[..., outside])
    assert not torch.equal(result.frame.color, base.color)
    assert torch.equal(original.color, before[0])
    assert torch.equal(base.color, before[1])


def test_inside_it_lies_between_base_and_model(model, original, base):
    whole = exact(model, original).color
    result = refine(model, original, base, FACES).frame.color
    low, high = torch.minimum(base.color, whole), torch.maximum(base.color, whole)
    assert (result - result.clamp(low, high)).abs().max() < 0.05


def test_the_same_model_over_its_own_result_changes_nothing_one_could_see(data_folder):
    """Two passes of the official lightweight; the bound is 1/255, measured is far less."""
    weights = data_folder / "weights" / "Swin2SR_Lightweight_X2_64.safetensors"
    official = load_model(weights, "fp32")
    generator = torch.Generator().manual_seed(1)
    smooth = resize(torch.rand(1, 3, 14, 14, generator=generator), 56, 64).clamp(0, 1)
    frame = Frame((smooth + 0.1 * torch.rand(smooth.shape, generator=generator)).clamp(0, 1))
    whole = exact(official, frame)
    result = refine(official, frame, whole, [Face(44, 36, 54, 46)])
    assert (result.frame.color - whole.color).abs().max() <= 1 / 255
    assert (result.mask > 0.99).any()


def test_strength_is_linear(model, original, base):
    whole = refine(model, original, base, FACES).frame.color - base.color
    for strength in (0.2, 0.5, 0.8):
        settings = replace(SETTINGS, strength=strength)
        result = refine(model, original, base, FACES, settings)
        assert (result.frame.color - base.color - strength * whole).abs().max() < 1e-6
        assert result.mask.max() <= strength + 1e-6


def test_shuffled_and_repeated_faces_give_equal_bytes(model, original, base):
    expected = refine(model, original, base, FACES)
    shuffled = random.Random(1).sample(FACES, len(FACES))
    assert torch.equal(refine(model, original, base, shuffled).frame.color, expected.frame.color)
    twice = refine(model, original, base, FACES + shuffled)
    assert torch.equal(twice.frame.color, expected.frame.color)
    assert torch.equal(twice.mask, expected.mask)


def test_alpha_and_grey_pass_through(model, original, base):
    alpha = torch.linspace(0, 1, 352).expand(1, 1, 288, -1).contiguous()
    small = resize(alpha, 72, 88).clamp(0, 1)
    result = refine(model, Frame(original.color, small), Frame(base.color, alpha), FACES)
    assert result.frame.alpha is alpha
    grey = refine(model, Frame(original.color[:, :1]), Frame(base.color[:, :1]), FACES)
    assert grey.frame.color.shape == (1, 1, 288, 352)
    assert not torch.equal(grey.frame.color, base.color[:, :1])


def test_colours_nobody_sees_do_not_tint_a_face(model, original, base):
    hidden = torch.ones(1, 1, 72, 88)
    hidden[..., :30, :20] = 0
    garish = original.color.clone()
    garish[..., :30, :20] = 1.0
    one = refine(model, Frame(original.color, hidden), base, FACES).frame.color
    other = refine(model, Frame(garish, hidden), base, FACES).frame.color
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    "face",
    [
        Face(0, 0, 20, 24),
        Face(70, 60, 88, 72),
        Face(0, 0, 88, 72),
        Face(40, 40, 41, 41),
        Face(30.3, 20.7, 47.9, 41.2),
    ],
    ids=["at the border", "in the corner", "the whole picture", "one pixel", "between pixels"],
)
def test_faces_of_every_place_and_size(face, model, original, base):
    result = refine(model, original, base, [face])
    target = Box(*(round(4 * v) for v in (face.y0, face.x0, face.y1, face.x1)))
    middle = result.mask[(target.y0 + target.y1) // 2, (target.x0 + target.x1) // 2]
    assert middle > 0.9
    if face.x0 == 0:
        assert result.mask[target.y1 // 2, 0] > 0.9, "no fall at the picture's border"


def test_the_work_is_that_of_the_pixels(model, original):
    """Per pixel, crops cost what the whole picture costs: the share of pixels, not more."""
    runner = CropRunner(model, 4)
    whole = Box(0, 0, 720, 880)
    crops = [r.crop for r in plan_regions([f.scaled(10, 10) for f in FACES], 720, 880)]
    share = sum(crop.area for crop in crops) / whole.area
    work = sum(runner.work(crop) for crop in crops) / runner.work(whole)
    assert work <= 1.15 * share


# -- scales, settings ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(288, 352), (144, 176), (101, 124), (72, 88), (36, 44)])
def test_any_scale_of_the_base_is_met_at_its_own_pixels(size, model, original):
    """What is blended in is the whole picture's result at that size, to the crop's own accuracy."""
    expected = resize(exact(model, original).color, *size).clamp(0, 1)
    base = Frame(expected.clone())
    result = refine(model, original, base, FACES)
    shifted = torch.roll(expected, 1, -1)
    assert (result.frame.color - expected).abs().mean() < 0.1 * (shifted - expected).abs().mean()


def test_a_base_that_is_a_pixel_off_costs_no_second_pass(model, original, make_image):
    result = refine(model, original, Frame(make_image(3, 287, 352)), FACES)
    assert result.frame.color.shape == (1, 3, 287, 352)


def test_colour_of_the_base_is_kept(model, original):
    red = Frame(exact(model, original).color * torch.tensor([1.0, 0.6, 0.6])[:, None, None])
    plain = refine(model, original, red, FACES)
    matched = refine(model, original, red, FACES, replace(SETTINGS, match_color=True))
    inside = plain.mask > 0.9

    def shift(result):
        return float((result.frame.color - red.color)[..., inside].mean(-1).abs().max())

    assert shift(matched) < 0.4 * shift(plain)


def test_the_ensemble_is_the_mean_over_all_turns(model, make_image):
    image = make_image(3, 40, 48)
    crop = Box(0, 0, 40, 48)
    ((_, mean),) = CropRunner(model, 4, ensemble=True).run(image, [crop])
    turns = [(k, flip) for k in range(4) for flip in (False, True)]
    results = [turned_back(upscale(model, turned_by(image, t), 4).image, t) for t in turns]
    assert (mean - torch.stack(results).mean(0)[0]).abs().max() < 1e-5
    assert (mean - results[0][0]).abs().max() > 1e-3


def test_turning_there_and_back_is_the_identity(make_image):
    image = make_image(3, 5, 7)
    for turn in [(k, flip) for k in range(4) for flip in (False, True)]:
        assert torch.equal(turned_back(turned_by(image, turn), turn), image)


def test_equal_crops_go_together_and_give_what_they_give_alone(model, make_image):
    image = make_image(3, 64, 128)
    crops = [Box(0, 0, 48, 48), Box(8, 8, 64, 64), Box(16, 64, 64, 112)]
    runner = CropRunner(model, 4)
    results = dict(runner.run(image, crops))
    for index, crop in enumerate(crops):
        alone = upscale(model, image[..., crop.rows, crop.columns].contiguous(), 4).image[0]
        assert torch.equal(results[index], alone)
    assert sorted(batch for *_, batch in runner.plans) == [1, 2]


def test_a_network_for_grey_pictures_refines_colours(make_network, make_model, make_config):
    grey = make_model(make_network(make_config(in_channels=1, scale=4)))
    image = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    ((_, made),) = CropRunner(grey, 4).run(image, [Box(0, 0, 48, 48)])
    expected = upscale(grey, image[:, 1:2].contiguous(), 4).image[0, 0]
    assert torch.equal(made[1], expected)


# -- when it goes wrong ----------------------------------------------------------------------------


def test_progress_and_stopping(model, original, base):
    steps = []
    refine(model, original, base, FACES, progress=lambda d, t: steps.append((d, t)))
    assert steps[-1][0] == steps[-1][1]
    assert [d for d, _ in steps] == sorted(d for d, _ in steps)
    assert len({t for _, t in steps}) == 1
    with pytest.raises(Interrupted):
        refine(model, original, base, FACES, should_stop=lambda: True)


def test_a_face_larger_than_the_budget(model, original, base):
    large = [Face(0, 0, 88, 72)]
    ample = refine(model, original, base, large)
    tight = refine(model, original, base, large, budget_bytes=3 << 20)
    assert (ample.frame.color - tight.frame.color).abs().max() < 1e-5
    with pytest.raises(BudgetError, match="smallest budget that works"):
        refine(model, original, base, large, budget_bytes=1 << 18)


def test_pictures_that_do_not_belong_together(model, original, make_image):
    with pytest.raises(InputError, match="expected the same"):
        refine(model, original, Frame(make_image(3, 288, 300)), FACES)


@pytest.mark.parametrize(
    ("name", "value"),
    [("crop_factor", 0.5), ("strength", 1.5), ("feather", 0.7), ("strength", float("nan"))],
)
def test_settings_out_of_range(name, value):
    with pytest.raises(InputError, match=f"{name} must be"):
        RefineSettings(**{name: value})


def poisoned(model, dtype):
    """The model with a head that overflows in `dtype` only, where a pixel is bright."""

    class Overflow(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            made = self.inner(x)
            return made * float("nan") if x.dtype in dtype else made

    network = copy.deepcopy(model.network)
    network.conv_after_body.conv = Overflow(network.conv_after_body.conv)
    return replace(model, network=network)


def test_what_is_not_finite_is_redone_in_fp32(
    make_network, make_model, tiny_configs, original, base, caplog
):
    network = make_network(tiny_configs["direct-x4"])
    narrow = poisoned(make_model(network, "bf16"), (torch.bfloat16,))
    with caplog.at_level(logging.WARNING, "swin2sr_core"):
        result = refine(narrow, original, base, FACES)
    assert "not finite in bf16 and was redone in fp32" in caplog.text
    assert result.fallbacks == ("a face was not finite in bf16 and was redone in fp32",)
    twin = in_fp32(poisoned(make_model(network, "bf16"), ()))
    assert twin is not None
    expected = refine(twin, original, base, FACES)
    assert torch.equal(result.frame.color, expected.frame.color)


def test_what_is_not_even_finite_in_fp32_stays_the_base(
    make_network, make_model, tiny_configs, original, base, caplog
):
    network = make_network(tiny_configs["direct-x4"])
    for precision in ("bf16", "fp32"):
        broken = poisoned(make_model(network, precision), (torch.bfloat16, torch.float32))
        with caplog.at_level(logging.WARNING, "swin2sr_core"):
            result = refine(broken, original, base, FACES)
        assert torch.equal(result.frame.color, base.color)
        assert not result.mask.any()
        assert "stays as it was" in result.fallbacks[-1]


def test_the_wider_twin_computes_in_fp32_with_the_same_weights(
    make_network, make_model, tiny_configs, make_image
):
    network = make_network(tiny_configs["direct-x4"])
    narrow, wide = make_model(network, "bf16"), make_model(network, "fp32")
    twin = in_fp32(narrow)
    assert twin is not None
    assert (twin.precision, twin.network.dtype) == ("fp32", torch.float32)
    assert in_fp32(wide) is None
    assert narrow.network.dtype == torch.bfloat16, "the narrow one is left as it is"
    image = make_image(3, 24, 24)
    expected = upscale(wide, image, 4).image
    assert (upscale(twin, image, 4).image - expected).abs().max() < 0.05


# -- the point of it -------------------------------------------------------------------------------


def test_faces_get_nearer_to_the_truth_by_the_better_model(data_folder):
    """Set5's woman as a small picture, a bicubic base: inside the mask a network is far nearer."""

    def read(name):
        with Image.open(data_folder / "set5" / name) as image:
            pixels = np.asarray(image.convert("RGB")) / np.float32(255)
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()

    truth, small = read("HR/woman.png"), read("LR_x4/womanx4.png")
    truth = truth[..., : small.shape[2] * 4, : small.shape[3] * 4]
    base = Frame(resize(small, *truth.shape[2:]).clamp(0, 1))
    result = refine(load_model("compact-x4", "fp32"), Frame(small), base, [Face(18, 10, 34, 32)])
    inside = result.mask > 0.5
    before = (base.color - truth)[..., inside].square().mean()
    after = (result.frame.color - truth)[..., inside].square().mean()
    assert after < 0.6 * before


def test_faces_of_one_size_run_together_up_to_a_limit():
    sizes = [*[64] * 40, *[300] * 3, *[128] * 5]
    boxes = [Box(0, 0, side, side) for side in sizes]
    batches = crops._batches(boxes)
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len({boxes[index].height for index in batch}) == 1
        area = sum(boxes[index].area for index in batch)
        assert len(batch) == 1 or area <= crops._BATCH_PIXELS
    assert len(batches) == 3 + 3 + 2
