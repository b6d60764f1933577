"""One picture through the core: every option, for whoever asks, and a report of what was done."""

from dataclasses import replace

import pytest
import torch
from faults import FailingAllocator

import swin2sr_core as s2
from swin2sr_core.errors import InputError, Interrupted
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.models.model import Model
from swin2sr_core.picture_job import Callbacks, PictureJob, PictureReport
from swin2sr_core.pictures.frame import Frame
from swin2sr_core.planning.budget import Room
from swin2sr_core.planning.picture_plan import (
    PictureSettings,
    Prospect,
    picture_output_size,
    plan_picture,
    results_at_once,
)


@pytest.fixture
def model(make_network, make_model, make_config) -> Model:
    return make_model(make_network(make_config(depths=(1,), num_heads=(2,))))


@pytest.fixture
def grey_model(make_network, make_model, make_config) -> Model:
    return make_model(make_network(make_config(depths=(1,), num_heads=(2,), in_channels=1)))


def picture(height: int, width: int, channels: int) -> Frame:
    """Random colours; where there is alpha, half of it is transparent."""
    generator = torch.Generator().manual_seed(channels)
    color = torch.rand(1, 3 if channels > 2 else 1, height, width, generator=generator)
    if channels in (1, 3):
        return Frame(color)
    alpha = torch.zeros(1, 1, height, width)
    alpha[..., width // 2 :] = torch.rand(height, width - width // 2, generator=generator)
    return Frame(color, alpha)


def run(model: Model, frame: Frame, **settings) -> tuple[Frame, PictureReport]:
    report = PictureReport()
    callbacks = settings.pop("callbacks", None)
    result = PictureJob(model, PictureSettings(**settings)).run(frame, report, callbacks)
    return result, report


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("grey", [False, True])
def test_what_comes_in_comes_out_larger(model, grey_model, channels, grey):
    frame = picture(20, 13, channels)
    before = frame.color.clone()
    result, report = run(grey_model if grey else model, frame, scale=2.0)
    assert result.size == (26, 40) and result.channels == channels
    assert torch.equal(frame.color, before)
    assert len(report.reports) == 1 + (channels in (2, 4))


def test_a_network_for_grey_sees_each_channel_as_a_picture(grey_model):
    frame = picture(16, 24, 3)
    result, _ = run(grey_model, frame, scale=2.0)
    for channel in range(3):
        alone, _ = run(grey_model, Frame(frame.color[:, channel : channel + 1]), scale=2.0)
        assert torch.allclose(result.color[:, channel], alone.color[:, 0], atol=1e-6)


def test_without_options_it_is_the_network(model):
    frame = picture(24, 40, 3)
    assert torch.equal(
        run(model, frame, scale=2.0)[0].color, s2.upscale(model, frame.color, 2).image
    )


def test_a_longest_side_takes_the_place_of_the_scale(model):
    result, report = run(model, picture(20, 40, 3), longest_side=100)
    assert result.size == (100, 50)
    assert (report.plan.width, report.plan.height) == (100, 50)


def test_large_pictures_are_reduced_first_and_it_is_told(model):
    result, report = run(model, picture(20, 40, 3), scale=2.0, max_input_side=24)
    assert result.size == (48, 24)
    assert report.notices == ["40x20 was reduced to 24x12 first, as max_input_side is 24"]


@pytest.mark.parametrize("channels", [3, 4])
def test_wrapped_edges_do_not_know_where_the_texture_begins(model, channels):
    frame = picture(16, 24, channels)
    rolled = Frame(frame.color.roll((8, 16), (2, 3)), frame.alpha)
    if frame.alpha is not None:
        rolled = replace(rolled, alpha=frame.alpha.roll((8, 16), (2, 3)))
    expected, _ = run(model, frame, scale=2.0, edge="wrap")
    result, _ = run(model, rolled, scale=2.0, edge="wrap")
    # what is filled in under transparent pixels depends on where the picture begins
    plane = "color" if channels == 3 else "alpha"
    back = getattr(result, plane).roll((-16, -32), (2, 3))
    assert (back - getattr(expected, plane)).abs().max() < 0.02
    assert result.size == (48, 32)


def test_sharpening_comes_last(model):
    plain, _ = run(model, picture(16, 16, 3), scale=2.0)
    sharp, _ = run(model, picture(16, 16, 3), scale=2.0, sharpen=0.3)
    assert not torch.equal(plain.color, sharp.color)


def test_progress_ends_at_its_total_with_alpha_too(model):
    steps = []
    callbacks = Callbacks(progress=lambda done, total: steps.append((done, total)))
    run(model, picture(16, 24, 4), scale=2.0, callbacks=callbacks)
    done = [step for step, _ in steps]
    assert done == sorted(done) and steps[-1] == (1000, 1000)


def test_it_stops_when_told(model):
    with pytest.raises(Interrupted):
        run(model, picture(16, 24, 3), callbacks=Callbacks(should_stop=lambda: True))


# -- the plan is what is run ---------------------------------------------------------------------


@pytest.mark.parametrize("channels", [3, 4])
def test_the_forecast_counts_the_colours_that_wait_for_alpha(make_network, make_model, channels):
    """What a run keeps alive at once, beside the input, is what was planned."""
    config = s2.Swin2SRConfig(3, 12, (1,), (2,), 8, 24, 4, "pixelshuffledirect", "1conv", 1.0)
    model = make_model(make_network(config))
    frame = picture(128, 160, channels)
    job = PictureJob(model, PictureSettings(scale=4.0))
    plan = job.plan_for(128, 160, channels).plan
    job.run(picture(16, 16, channels), PictureReport())  # what is prepared at the first run
    with PeakMeter() as meter:
        result = s2.upscale(model, frame.color, plan=plan)
        if channels == 4:
            alpha = s2.upscale(model, frame.alpha.expand(-1, 3, -1, -1), plan=plan)
            assert alpha.image.shape == result.image.shape
    assert plan.total_bytes == pytest.approx(meter.peak, rel=0.1)


def test_a_plan_counts_alpha_as_the_run_does():
    """A picture with alpha that a plan without it promises to fit would not be run."""
    prospect = Prospect(s2.load_model("compact-x4").config)
    settings, room = PictureSettings(max_memory=40 << 20), Room(None)
    plan_picture(prospect, 384, 384, settings, room, channels=3)
    with pytest.raises(s2.BudgetError):
        plan_picture(prospect, 384, 384, settings, room, channels=4)


@pytest.mark.parametrize(
    ("in_channels", "channels", "count"),
    [(3, 1, 1), (3, 2, 2), (3, 3, 1), (3, 4, 2), (1, 1, 1), (1, 2, 2), (1, 3, 3), (1, 4, 4)],
)
def test_how_many_results_wait(make_config, in_channels, channels, count):
    assert results_at_once(make_config(in_channels=in_channels), channels) == count


@pytest.mark.parametrize("options", [{}, {"scale": 1.5}, {"longest_side": 77}, {"edge": "wrap"}])
def test_the_size_is_known_without_a_plan(model, options):
    settings = PictureSettings(max_input_side=50, **options)
    planned = plan_picture(model.prospect, 60, 44, settings, Room(None))
    size = picture_output_size(model.prospect, 60, 44, settings)
    assert size == (planned.height, planned.width)


# -- the report tells what was done --------------------------------------------------------------


def test_a_run_that_ended_in_tiles_is_told_as_tiled(model, monkeypatch):
    """It was planned as whole: the report, and whoever shows it, says what was done."""
    frame = picture(96, 96, 3)
    plan = s2.make_plan(model, 96, 96, 2)
    assert plan.strategy == "whole"
    taken = s2.make_plan(model, 96, 96, 2, strategy="tiled", tile=32, overlap=8).passes[0]
    monkeypatch.setattr(
        "swin2sr_core.engine.ladder.Ladder._next", lambda self, failed: taken, raising=True
    )
    job, report = PictureJob(model, PictureSettings(scale=2.0)), PictureReport()
    with FailingAllocator(30):
        job.run(frame, report)
    assert report.fallbacks
    assert report.reports[0].strategy == report.strategy == "tiled"
    assert report.reports[0].plan.strategy == "whole"
    assert job.plan_for(96, 96, 3).plan.strategy == "tiled", "the next frame starts there"
    assert report.plan.plan.strategy == "whole", "what was planned stays told"


def test_a_plan_for_a_graphics_card_asks_no_card(monkeypatch):
    """Planning is arithmetic: what the machine has is an argument."""
    config = s2.load_model("compact-x4").config
    for name in ("is_available", "get_device_capability", "mem_get_info"):
        monkeypatch.delattr(torch.cuda, name)
    wide = s2.plan_upscale(config, 512, 512, precision="int8", device_type="cuda")
    narrow = s2.plan_upscale(
        config, 512, 512, precision="int8", device_type="cuda", native_bf16=True
    )
    assert (narrow.passes[0].computed_in, wide.passes[0].computed_in) == ("bf16", "int8")
    assert narrow.passes[0].total_bytes < wide.passes[0].total_bytes


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"edge": "mirror"}, "edge must be one of reflect, wrap, got mirror"),
        ({"sharpen": 0.7}, r"sharpen must be from 0 \(off\) to 0.5, got 0.7"),
        ({"sharpen": float("nan")}, "sharpen must be"),
        ({"longest_side": -1}, r"longest_side must be 0 \(use scale\) or more, got -1"),
        ({"megapixels": -1.0}, r"megapixels must be 0 \(use scale\) or more, got -1"),
        ({"megapixels": float("inf")}, "megapixels must be 0"),
        ({"megapixels": 1.0, "longest_side": 5}, "only one can tell the size"),
        ({"max_input_side": -1}, "max_input_side must be 0"),
        ({"strategy": "fast"}, "strategy must be one of auto, whole, staged, tiled, got fast"),
        ({"scale": 65.0}, "scale must be over 0 and at most 64"),
    ],
)
def test_impossible_settings_are_refused(model, wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        run(model, picture(8, 8, 3), **wrong)


def test_alpha_is_not_shown_while_it_is_computed(model):
    """Pieces are of the colours: as many with alpha as without."""
    shown = {}
    for channels in (3, 4):
        pieces = []
        run(model, picture(24, 24, channels), callbacks=Callbacks(on_piece=pieces.append))
        shown[channels] = [(piece.pass_number, piece.box) for piece in pieces]
    assert shown[3] == shown[4] != []
