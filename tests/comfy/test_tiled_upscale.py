"""Tiled Upscale x4: what comes out, for pictures of every kind; sizes, memory, cancelling."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def core(pack):
    return pack("swin2sr_core")


@pytest.fixture
def errors(pack):
    return pack("swin2sr_core.errors")


def planes(image):
    """B H W C -> B C H W."""
    return image.movedim(-1, 1).contiguous()


# -- the same as the core ------------------------------------------------------------------------


def test_it_is_what_the_core_makes(compact, core, upscale, make_picture):
    image = make_picture(21, 34)
    result, _ = upscale(image, compact)
    assert result.shape == (1, 84, 136, 3)
    assert torch.equal(planes(result), core.upscale(compact.core, planes(image)).image)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_it_is_what_the_command_line_makes(mode, load, upscale, tmp_path):
    """To the bit, at 8 bits, of the same file; the picture is taken in as Load Image does it."""
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    noise = np.random.default_rng(0).integers(0, 256, (19, 30, channels), np.uint8)
    Image.fromarray(noise[..., 0] if mode == "L" else noise).save(tmp_path / "in.png")
    command = [sys.executable, "-m", "swin2sr_core", "upscale", str(tmp_path / "in.png")]
    options = ["-o", str(tmp_path / "out.png"), "--model", "compact-x4", "--precision", "auto"]
    subprocess.run([*command, *options], check=True, capture_output=True, cwd=ROOT)
    with Image.open(tmp_path / "out.png") as image:
        expected = np.asarray(image.convert("RGBA" if mode == "RGBA" else "RGB"))
    with Image.open(tmp_path / "in.png") as image:
        pixels = np.array(image.convert("RGB")).astype(np.float32) / 255.0
        mask = None
        if mode == "RGBA":
            mask = 1.0 - torch.from_numpy(np.array(image.getchannel("A")).astype(np.float32) / 255)
    image = torch.from_numpy(pixels)[None]
    result, _ = upscale(image, load(precision="auto"), mask=mask)
    assert np.array_equal((result[0] * 255).round().to(torch.uint8).numpy(), expected)


@pytest.mark.parametrize("strategy", ["whole", "staged"])
def test_strategies_agree(strategy, compact, upscale, make_picture):
    image = make_picture(40, 70)
    expected, _ = upscale(image, compact)
    result, report = upscale(image, compact, strategy=strategy)
    assert strategy in report
    assert torch.allclose(result, expected, atol=1e-5)


def test_a_batch_is_its_pictures_one_by_one(compact, upscale, make_picture):
    image = make_picture(9, 17, batch=3)
    together, report = upscale(image, compact, scale=2.0)
    single = [upscale(image[i : i + 1], compact, scale=2.0)[0] for i in range(3)]
    assert torch.equal(together, torch.cat(single))
    assert "3 pictures to 34x18" in report


def test_the_input_is_left_alone(compact, upscale, make_picture):
    image, mask = make_picture(9, 9, channels=4), make_picture(9, 9, channels=1)[..., 0]
    copies = image.clone(), mask.clone()
    upscale(image, compact, mask=mask, edge="wrap", sharpen=0.3)
    assert torch.equal(image, copies[0])
    assert torch.equal(mask, copies[1])


# -- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "scale", "expected"),
    [(1, 1, 4.0, (4, 4)), (7, 9, 4.0, (28, 36)), (30, 50, 1.7, (51, 85)), (16, 8, 0.25, (4, 2))],
)
@pytest.mark.parametrize("edge", ["reflect", "wrap"])
def test_sizes(height, width, scale, expected, edge, compact, upscale, make_picture):
    result, _ = upscale(make_picture(height, width), compact, scale=scale, edge=edge)
    assert tuple(result.shape[1:3]) == expected
    assert 0 <= float(result.min()) <= float(result.max()) <= 1


@pytest.mark.parametrize(("height", "width", "side"), [(20, 31, 100), (31, 20, 24), (5, 5, 33)])
def test_longest_side_wins_over_scale(height, width, side, compact, upscale, make_picture):
    result, _ = upscale(make_picture(height, width), compact, longest_side=side)
    assert max(result.shape[1:3]) == side
    ratio = side / max(height, width)
    assert tuple(result.shape[1:3]) == (round(height * ratio), round(width * ratio))


@pytest.mark.parametrize(
    ("height", "width", "megapixels", "size"),
    [(16, 16, 0.01, (102, 102)), (20, 40, 0.005, (51, 102)), (64, 32, 0.001, (46, 23))],
)
def test_a_size_in_megapixels(height, width, megapixels, size, compact, upscale, make_picture):
    result, _ = upscale(make_picture(height, width), compact, scale=1.0, megapixels=megapixels)
    assert tuple(result.shape[1:3]) == size


def test_two_sizes_are_one_too_many(compact, upscale, make_picture):
    with pytest.raises(Exception, match=r"longest_side is 30 and megapixels 0\.1, and only one"):
        upscale(make_picture(8, 8), compact, longest_side=30, megapixels=0.1)


def test_a_limit_on_the_input_reduces_it_first(compact, pack, upscale, make_picture):
    image = make_picture(20, 40)
    reduced = pack("swin2sr_core.pictures.resize").resize(planes(image), 8, 16).clamp(0, 1)
    expected, _ = upscale(reduced.movedim(1, -1), compact, scale=2.0)
    result, _ = upscale(image, compact, scale=2.0, max_input_side=16)
    assert result.shape == (1, 16, 32, 3)
    assert torch.equal(result, expected)


def test_an_x2_model_is_applied_twice(load, put_model, upscale, make_picture):
    put_model("two.safetensors")
    result, report = upscale(make_picture(8, 10), load("two.safetensors"))
    assert result.shape == (1, 32, 40, 3)
    assert "in 2 pass(es)" in report


def test_a_network_of_one_channel_takes_colours_one_by_one(load, put_model, upscale, make_picture):
    put_model("grey.safetensors", in_channels=1, head="none", scale=1, window=7, img_range=255.0)
    model = load("grey.safetensors")
    image = make_picture(10, 12)
    result, _ = upscale(image, model, scale=1.0)
    for channel in range(3):
        plane = image[..., channel : channel + 1].expand(-1, -1, -1, 3)
        alone, _ = upscale(plane, model, scale=1.0)
        assert torch.allclose(result[..., channel], alone[..., 0], atol=1e-5)


# -- grey, alpha and masks -----------------------------------------------------------------------


def test_grey_stays_grey(compact, upscale, make_picture):
    grey = make_picture(11, 13, channels=1)
    result, _ = upscale(grey.expand(-1, -1, -1, 3), compact)
    assert torch.equal(result[..., 0], result[..., 1])
    assert torch.equal(result[..., 0], result[..., 2])
    assert torch.equal(upscale(grey, compact)[0], result)


def test_rgba_in_rgba_out(compact, upscale, make_picture):
    image = make_picture(16, 16, channels=4)
    image[:, :, :8, 3] = 1.0
    result, _ = upscale(image, compact)
    assert result.shape == (1, 64, 64, 4)
    assert bool((result[:, :, :28, 3] == 1).all()), "an opaque area stays fully opaque"


def test_a_mask_is_the_opposite_of_alpha(compact, upscale, make_picture):
    image = make_picture(12, 12, channels=4)
    mask = 1 - image[..., 3]
    expected, _ = upscale(image, compact)
    result, _ = upscale(image[..., :3], compact, mask=mask)
    assert torch.allclose(result, expected, atol=1e-6)


def test_an_empty_mask_is_none(compact, upscale, make_picture):
    """Load Image gives 64 x 64 zeros for pictures without alpha."""
    image = make_picture(12, 12)
    result, _ = upscale(image, compact, mask=torch.zeros(1, 64, 64))
    assert torch.equal(result, upscale(image, compact)[0])


def test_one_mask_serves_all_frames(compact, upscale, make_picture):
    image, mask = make_picture(8, 8, batch=2), make_picture(8, 8, channels=1)[..., 0]
    result, _ = upscale(image, compact, mask=mask)
    assert torch.equal(result[0, ..., 3], result[1, ..., 3])


def test_a_mask_of_another_size_is_scaled(compact, pack, upscale, make_picture):
    image, mask = make_picture(8, 12), make_picture(16, 24, channels=1)[..., 0]
    resize = pack("swin2sr_core.pictures.resize").resize
    fitting = resize(mask[:, None], 8, 12)[:, 0].clamp(0, 1)
    expected, _ = upscale(image, compact, mask=fitting)
    result, _ = upscale(image, compact, mask=mask)
    assert torch.equal(result, expected)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((1, 16, 8), "the mask of 8x16 has another shape than the image of 8x8; make it from"),
        ((3, 8, 8), r"mask is 3 x 8 x 8, expected 1 \(or 1\) x 8 x 8 like the image"),
    ],
)
def test_a_mask_of_another_shape_is_refused(
    shape, sentence, compact, errors, upscale, make_picture
):
    with pytest.raises(errors.InputError, match=sentence):
        upscale(make_picture(8, 8), compact, mask=torch.ones(shape))


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (None, "got NoneType: the node before this one gives something else"),
        ([torch.rand(1, 8, 8, 3)], "got list: the node before"),
        (torch.rand(0, 8, 8, 3), "one picture or more, got an empty one"),
        (torch.randint(0, 255, (1, 8, 8, 3), dtype=torch.uint8), r"whole numbers \(torch.uint8\)"),
        (torch.ones(1, 8, 8, 3, dtype=torch.bool), r"whole numbers \(torch.bool\)"),
    ],
    ids=["none", "list", "empty", "bytes", "bools"],
)
def test_what_is_no_picture_gets_a_sentence(image, sentence, upscale, compact, errors):
    with pytest.raises(errors.InputError, match=sentence):
        upscale(image, compact)


@pytest.mark.parametrize("shape", [(1, 8, 8, 2), (1, 8, 8, 5), (8, 8, 3), (0, 8, 8, 3)])
def test_what_is_no_picture_is_refused(shape, compact, errors, upscale):
    with pytest.raises(errors.InputError, match="an image is a batch"):
        upscale(torch.zeros(shape), compact)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_pixel_that_is_no_number_is_named(value, compact, errors, upscale, make_picture):
    image = make_picture(8, 8, batch=3)
    image[1, 3, 5, 2] = value
    with pytest.raises(
        errors.InputError, match=r"x=5, y=3 of picture 2, channel 2, is -?(nan|inf)"
    ):
        upscale(image, compact)


# -- sharpening and settings ---------------------------------------------------------------------


def test_sharpening_is_the_cores(compact, pack, upscale, make_picture):
    image = make_picture(12, 12)
    plain, _ = upscale(image, compact)
    result, _ = upscale(image, compact, sharpen=0.2)
    sharpen = pack("swin2sr_core.pictures.sharpen").sharpen
    assert torch.equal(planes(result), sharpen(planes(plain), 0.2))


@pytest.mark.parametrize(
    ("widgets", "message"),
    [
        ({"sharpen": 0.6}, "sharpen must be from 0"),
        ({"edge": "zero"}, "edge must be one of reflect, wrap"),
        ({"scale": 0.1}, "scale must be from 0.25 to 4"),
        ({"strategy": "magic"}, "strategy must be one of"),
        ({"max_memory": 0.001}, "smallest budget that works"),
    ],
)
def test_impossible_settings_are_told(widgets, message, compact, errors, upscale, make_picture):
    with pytest.raises(errors.InputError, match=message):
        upscale(make_picture(64, 64), compact, **widgets)


def test_tiles_on_request(compact, upscale, make_picture):
    image = make_picture(96, 120)
    exact, _ = upscale(image, compact)
    result, report = upscale(image, compact, strategy="tiled", tile_size=64, overlap=32)
    assert "tiled" in report
    assert "64" in report
    difference = (result - exact).abs()
    assert 0 < float(difference.max()) < 2 / 255


def test_sizes_of_tiles_are_left_alone_by_the_exact_strategies(compact, upscale, make_picture):
    image = make_picture(48, 48)
    expected, _ = upscale(image, compact)
    assert torch.equal(upscale(image, compact, tile_size=24, overlap=8)[0], expected)


def test_max_memory_is_kept(compact, pack, upscale, make_picture):
    meter = pack("swin2sr_core.machine.meter").PeakMeter()
    image = make_picture(96, 96)
    limit = 6 << 20
    with meter:
        result, report = upscale(image, compact, max_memory=limit / 2**30)
    assert "budget 6.00 MB" in " ".join(report.split())
    assert meter.peak - result.nbytes < limit * 1.1


def test_finished_pictures_that_cannot_fit_are_told_before_the_work(
    compact, errors, pack, upscale, monkeypatch
):
    monkeypatch.setattr(pack("nodes.host"), "free_bytes", lambda _device: 10 << 20)
    frames = torch.zeros(1, 1, 1, 3).expand(500, 64, 64, 3)
    with pytest.raises(errors.BudgetError, match=r"500 finished .* of 256x256 take 500 MB"):
        upscale(frames, compact)


# -- memory, progress, cancelling ----------------------------------------------------------------


def test_memory_besides_the_output_does_not_grow_with_the_batch(
    compact, pack, upscale, make_picture
):
    def peak(frames):
        meter = pack("swin2sr_core.machine.meter").PeakMeter()
        image = make_picture(24, 24, batch=frames)
        with meter:
            result, _ = upscale(image, compact, scale=2.0)
        return meter.peak - result.nbytes

    assert peak(6) <= peak(1) * 1.01


def test_progress_grows_to_its_total_with_pictures(compact, upscale, make_picture, bar_steps):
    upscale(make_picture(40, 72, channels=4, batch=2), compact)
    values = [value for value, _, _ in bar_steps]
    assert values == sorted(values)
    assert values[-1] == bar_steps[-1][1] == 2000
    form, picture, side = next(p for _, _, p in bar_steps if p is not None)
    assert (form, picture.mode, picture.size, side) == ("JPEG", "RGB", (288, 160), 512)


def test_cancelling_ends_the_run_and_the_next_one_works(compact, pack, upscale, make_picture):
    mm = pack("nodes.host").mm
    done = threading.Event()
    timer = threading.Timer(0.3, lambda: (done.set(), mm.interrupt_current_processing(True)))
    timer.start()
    with pytest.raises(mm.InterruptProcessingException):
        for _ in range(1000):
            upscale(make_picture(64, 64), compact)
    assert done.is_set()
    assert not mm.processing_interrupted()
    assert upscale(make_picture(8, 8), compact)[0].shape == (1, 32, 32, 3)


def test_interruption_is_asked_for_in_every_band(compact, pack, make_picture, upscale, monkeypatch):
    mm = pack("nodes.host").mm
    moments = []
    real = mm.throw_exception_if_processing_interrupted
    monkeypatch.setattr(
        mm,
        "throw_exception_if_processing_interrupted",
        lambda: (moments.append(time.monotonic()), real())[1],
    )
    _, report = upscale(make_picture(128, 128), compact)
    blocks = sum(compact.config.depths)
    assert len(moments) > 2 * blocks, "more than once per block"
    assert "bands" in report


def test_the_report_tells_what_happened(compact, upscale, make_picture):
    _, report = upscale(make_picture(16, 24), compact)
    for text in (
        *("compact-x4 on cpu: 1 picture to 96x64 in ", "24x16 -> 96x64", "feature maps"),
        *("budget", "measured peak: ", "fallbacks: none"),
    ):
        assert text in report, report


def test_nothing_of_a_run_is_kept_in_the_classes(compact, node_list, upscale, make_picture):
    before = {node: json.dumps(sorted(vars(node))) for node in node_list}
    upscale(make_picture(8, 8), compact)
    assert before == {node: json.dumps(sorted(vars(node))) for node in node_list}
