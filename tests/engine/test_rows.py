"""Rows that leave as they are made: the same picture, and never more of it than a strip."""

import threading
from dataclasses import replace

import pytest
import torch

from swin2sr_core.engine.canvas import RowCanvas
from swin2sr_core.engine.passes import Pass
from swin2sr_core.engine.pulled import pulled
from swin2sr_core.engine.tiling import TiledPass
from swin2sr_core.engine.upscale import upscale, upscale_rows
from swin2sr_core.errors import Interrupted, OutOfMemoryError
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.picture_job import PictureJob, PictureReport
from swin2sr_core.pictures.frame import Frame, Strips, pixel_bands, to_pixels
from swin2sr_core.pictures.resize import resize, resized_rows
from swin2sr_core.pictures.sharpen import sharpen, sharpened_rows
from swin2sr_core.planning.picture_plan import PictureSettings
from swin2sr_core.planning.plan import plan_upscale
from swin2sr_core.planning.tiles import Box

pytestmark = pytest.mark.usefixtures("reference_kernel")


def planned(config, image, strategy="whole", scale=None, **changes):
    """Cut small, so that there is more than one of everything."""
    plan = plan_upscale(config, *image.shape[2:], scale, strategy=strategy, tile=48, streamed=0)
    small = {"head_side": 16, "conv_side": 16} | changes
    if strategy == "staged":
        small["region_side"] = 2 * config.window
    return replace(plan, passes=tuple(replace(each, **small) for each in plan.passes))


@pytest.mark.parametrize("strategy", ["whole", "staged", "tiled"])
def test_rows_are_those_of_the_whole_result(
    tiny_config, make_network, make_model, make_image, strategy
):
    model = make_model(make_network(tiny_config))
    image = make_image(tiny_config.in_channels, 61, 50)
    plan = planned(tiny_config, image, strategy, float(tiny_config.scale))
    expected = upscale(model, image, plan=plan).image

    rows = upscale_rows(model, image, plan)
    bands = list(rows.bands)

    assert torch.equal(torch.cat(bands, dim=2), expected)
    assert rows.report is not None and rows.report.strategy == strategy


@pytest.mark.parametrize("scale", [3, 2.5, 8])
def test_reduced_rows_and_two_passes(make_config, make_network, make_model, make_image, scale):
    config = make_config(scale=4)
    model = make_model(make_network(config))
    image = make_image(3, 21, 34)
    plan = planned(config, image, scale=scale)
    expected = upscale(model, image, plan=plan).image
    result = torch.cat(list(upscale_rows(model, image, plan).bands), dim=2)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("step", [1, 7, 64])
@pytest.mark.parametrize(
    "size", [(64, 48, 32, 24), (100, 60, 75, 45), (41, 9, 40, 9), (90, 8, 3, 7)]
)
def test_rows_are_reduced_as_the_whole_is(make_image, size, step):
    rows, columns, height, width = size
    image = make_image(3, rows, columns)
    bands = list(resized_rows(image.split(step, dim=2), rows, height, width))
    expected = resize(image, height, width)
    torch.testing.assert_close(torch.cat(bands, dim=2), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("step", [1, 2, 5, 40])
@pytest.mark.parametrize("amount", [0.0, 0.3])
def test_rows_are_sharpened_as_the_whole_is(make_image, step, amount):
    image = make_image(3, 23, 17)
    bands = list(sharpened_rows(image.split(step, dim=2), amount))
    torch.testing.assert_close(torch.cat(bands, dim=2), sharpen(image, amount), rtol=0, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_strips_of_a_job_are_its_frames(
    make_config, make_network, make_model, make_image, channels
):
    model = make_model(make_network(make_config(scale=4)))
    settings = PictureSettings(scale=2, sharpen=0.2, max_input_side=30, streamed=0)
    job, frame = PictureJob(model, settings), Frame(make_image(channels, 40, 32))
    whole_report, report = PictureReport(), PictureReport()
    whole = job.run(frame, whole_report)
    strips = job.strips(frame, report)
    assert isinstance(strips, Strips) and (strips.size, strips.channels) == (whole.size, channels)
    pixels = list(pixel_bands(strips, 16))
    difference = torch.from_numpy(to_pixels(whole, 16).astype("int64"))
    made = torch.cat([torch.from_numpy(band.astype("int64")) for band in pixels])
    assert (made - difference).abs().max() <= 1
    assert report.notices == whole_report.notices != []
    assert len(report.reports) == 1


@pytest.mark.parametrize(
    "change",
    [{"streamed": None}, {"edge": "wrap"}],
)
def test_what_needs_all_of_it_has_no_strips(
    make_config, make_network, make_model, make_image, change
):
    model = make_model(make_network(make_config()))
    job = PictureJob(model, replace(PictureSettings(streamed=0), **change))
    assert job.strips(Frame(make_image(3, 8, 8)), PictureReport()) is None


def test_a_picture_with_alpha_has_no_strips(make_config, make_network, make_model, make_image):
    job = PictureJob(make_model(make_network(make_config())), PictureSettings(streamed=0))
    frame = Frame(make_image(3, 8, 8), make_image(1, 8, 8))
    assert job.strips(frame, PictureReport()) is None


def test_memory_that_runs_out_in_the_middle(
    make_config, make_network, make_model, make_image, monkeypatch
):
    """The step down goes on behind the rows that have left."""
    config = make_config()
    model, image = make_model(make_network(config)), make_image(3, 64, 40)
    plan = planned(config, image)
    expected = upscale(model, image, plan=plan).image
    left = []
    put = RowCanvas.put

    def failing(canvas, box, values):
        if box.y0 >= 64 and not left:
            left.append(True)
            raise MemoryError
        put(canvas, box, values)

    monkeypatch.setattr(RowCanvas, "put", failing)
    rows = upscale_rows(model, image, plan)
    result = torch.cat(list(rows.bands), dim=2)
    assert left and any("out of memory" in text for text in rows.report.fallbacks)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


def test_an_error_and_a_stop_reach_who_takes_the_rows(
    make_config, make_network, make_model, make_image
):
    config = make_config()
    model, image = make_model(make_network(config)), make_image(3, 32, 32)
    plan = planned(config, image)
    with pytest.raises(Interrupted):
        list(upscale_rows(model, image, plan, should_stop=lambda: True).bands)
    assert not running()


def running():
    return [each for each in threading.enumerate() if each.name == "swin2sr-rows"]


def test_who_leaves_early_ends_the_work(make_config, make_network, make_model, make_image):
    config = make_config()
    model, image = make_model(make_network(config)), make_image(3, 256, 32)
    bands = upscale_rows(model, image, planned(config, image)).bands
    next(bands)
    assert running()
    bands.close()
    assert not running()


def test_pulled_hands_over_everything_and_then_the_error():
    def work(hand_out, is_abandoned):
        for number in range(5):
            hand_out(number)
        raise OutOfMemoryError("full")

    taken = []
    with pytest.raises(OutOfMemoryError, match="full"):
        for number in pulled(work):
            taken.append(number)
    assert taken == list(range(5))


@pytest.mark.parametrize("strategy", ["whole", "staged", "tiled"])
def test_the_forecast_counts_a_strip(make_network, make_model, make_image, strategy, make_config):
    config = make_config(scale=4, embed_dim=24, mlp_dim=48)
    model, image = make_model(make_network(config)), make_image(3, 384, 320)
    plan = plan_upscale(config, 384, 320, strategy=strategy, tile=96, streamed=0)
    whole = plan_upscale(config, 384, 320, strategy=strategy, tile=96)
    step = plan.passes[0]
    if strategy == "staged":
        step = replace(step, region_side=64)
    with PeakMeter() as meter:
        canvas = RowCanvas((1, 3, 4 * 384, 4 * 320), lambda band: None)
        kind = TiledPass if strategy == "tiled" else Pass
        kind(model.network, image, canvas, lambda work: None).run(step)
    read = image.numel() * 4  # it was there before
    assert step.total_bytes - read == pytest.approx(meter.peak, rel=0.1)
    assert step.total_bytes < whole.total_bytes


def test_a_band_that_fails_is_handed_out_again_and_none_twice(monkeypatch):
    """Memory may run out between two bands of one strip."""
    monkeypatch.setattr("swin2sr_core.engine.canvas._BAND_SAMPLES", 2)  # a row each
    bands = []

    def emit(band):
        if len(bands) == 1 and not failed:
            failed.append(True)
            raise MemoryError
        bands.append(band)

    failed = []
    canvas = RowCanvas((1, 1, 4, 2), emit)
    rows = torch.arange(1, 5).div(8)[None, None, :, None].expand(1, 1, 4, 2)
    canvas.put(Box(0, 0, 4, 2), rows)
    with pytest.raises(MemoryError):
        canvas.finish(3)
    canvas.finish(3)
    canvas.finish(4)
    assert failed and torch.equal(torch.cat(bands, dim=2), rows)


def test_a_canvas_of_rows_drops_what_has_left():
    bands = []
    canvas = RowCanvas((1, 1, 6, 2), bands.append)
    ones = torch.ones(1, 1, 4, 2)
    canvas.add(Box(0, 0, 4, 2), ones / 2)
    canvas.finish(2)
    canvas.clear()
    canvas.add(Box(0, 0, 4, 2), ones / 4)
    canvas.put(Box(3, 0, 6, 2), ones[:, :, :3])
    canvas.put(Box(0, 0, 1, 2), ones[:, :, :1])
    canvas.finish(6)
    assert torch.cat(bands, dim=2)[0, 0, :, 0].tolist() == [0.5, 0.5, 0.25, 1, 1, 1]
