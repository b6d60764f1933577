"""Out of memory: a smaller plan goes on, the picture is the same, and memory is given back."""

import dataclasses
import itertools
import logging

import pytest
import torch
from faults import CUDA_TEXT, FailingAllocator, FullAt

import swin2sr_core as s2
from swin2sr_core.engine import ladder, watch
from swin2sr_core.engine.canvas import WholeCanvas
from swin2sr_core.errors import OutOfMemoryError
from swin2sr_core.machine import out_of_memory
from swin2sr_core.machine.meter import PeakMeter
from swin2sr_core.planning.strategies import Staged, layout

CONFIG = s2.Swin2SRConfig(3, 12, (1, 2), (2, 3), 8, 24, 2, "pixelshuffledirect", "1conv", 1.0)
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def model(make_model, make_network):
    return make_model(make_network(CONFIG))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(ladder, "_PAUSE_SECONDS", 0)


def difference(a, b) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


def plan_for(model, image, strategy="auto", **sizes):
    """One pass, its bands and pieces small enough that there are several of each."""
    plan = s2.make_plan(model, *image.shape[-2:], model.scale, strategy=strategy, batch=len(image))
    sizes = {"band_windows": 3, "conv_side": 16, "head_side": 16, **sizes}
    steps = tuple(dataclasses.replace(step, **sizes) for step in plan.passes)
    return dataclasses.replace(plan, passes=steps)


# -- one allocation fails ------------------------------------------------------------------------


@pytest.mark.usefixtures("reference_kernel")
@pytest.mark.parametrize(
    ("strategy", "every", "sizes"),
    [
        ("whole", 1, {}),
        ("staged", 9, {"region_side": 16}),
        ("tiled", 7, {"tile_side": 24, "overlap": 8}),
    ],
    ids=["whole", "staged", "tiled"],
)
def test_whichever_allocation_fails_the_picture_is_right(model, make_image, strategy, every, sizes):
    """One at a time; and nothing stays behind. (benchmarks/fault_injection.py tries them all.)"""
    image = make_image(3, 16, 24 if strategy != "tiled" else 40)
    plan = plan_for(model, image, strategy, **sizes)
    with FailingAllocator() as counting:
        expected = s2.upscale(model, image, plan=plan).image
    assert counting.count > 50
    outcomes = {"as planned": 0, "stepped down": 0}
    for number in range(1, counting.count + 1, every):
        with PeakMeter() as meter, FailingAllocator(number):
            result = s2.upscale(model, image, plan=plan)
        outcomes["stepped down" if result.report.fallbacks else "as planned"] += 1
        allowed = TOLERANCE if strategy != "tiled" else 0.1  # other tiles are another picture
        assert difference(result.image, expected) <= allowed, number
        del result
        assert meter.live == 0, number
    assert outcomes["stepped down"] > outcomes["as planned"]


@pytest.mark.parametrize(
    "text",
    [
        CUDA_TEXT,
        "HIP out of memory. Tried to allocate 2.00 GiB",
        "MPS backend out of memory (MPS allocated: 8.01 GB, other allocations: 1.05 GB)",
        "XPU out of memory. Tried to allocate 1024.00 GiB",
        "Could not allocate tensor with 805306368 bytes. There is not enough GPU video memory "
        "available!",
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 8000000000 bytes. Error code 12 (Cannot allocate memory)",
        "[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you "
        "tried to allocate 8000000000 bytes.",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "Allocation on device 0 would exceed allowed memory. (out of memory)",
        "std::bad_alloc",
        "could not create a memory object",
        "can't start new thread",
    ],
    ids=lambda text: text[:24],
)
def test_every_disguise_is_recognised(model, make_image, text):
    image = make_image(3, 24, 16)
    plan = plan_for(model, image, "whole")
    expected = s2.upscale(model, image, plan=plan).image
    with FailingAllocator(20, error=RuntimeError(text)):
        result = s2.upscale(model, image, plan=plan)
    assert result.report.fallbacks
    assert difference(result.image, expected) <= TOLERANCE


@pytest.mark.parametrize("error", [MemoryError(), torch.cuda.OutOfMemoryError("no")])
def test_errors_of_their_own_type_need_no_text(error):
    assert out_of_memory.is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
        ValueError("out of memory"),
        KeyboardInterrupt(),
        s2.Interrupted("stopped"),
    ],
    ids=repr,
)
def test_other_errors_end_the_run(model, make_image, error):
    image = make_image(3, 16, 16)
    with pytest.raises(type(error)), FailingAllocator(9, error=error):
        s2.upscale(model, image, 2)


# -- a device that is too small ------------------------------------------------------------------


def peak_of(model, image, plan) -> int:
    with PeakMeter() as meter:
        s2.upscale(model, image, plan=plan)
    return meter.peak


@pytest.mark.usefixtures("reference_kernel")
@pytest.mark.parametrize("share", [0.95, 0.8, 0.6])
def test_a_full_device_gets_a_smaller_exact_plan(model, make_image, share):
    """Large bands and pieces to begin with, so that there is much to give up."""
    image = make_image(3, 48, 64)
    plan = s2.make_plan(model, 48, 64, 2)
    expected = s2.upscale(model, image, plan=plan).image
    with FullAt(int(peak_of(model, image, plan) * share)) as device:
        result = s2.upscale(model, image, plan=plan)
    assert device.failures >= 1
    assert "went on with whole" in result.report.fallbacks[0]
    assert difference(result.image, expected) <= TOLERANCE


def test_where_nothing_exact_fits_tiles_do(make_model, make_network, make_image):
    model = make_model(make_network(CONFIG))
    image = make_image(3, 136, 136)
    plan = s2.make_plan(model, 136, 136, 2)
    expected = s2.upscale(model, image, plan=plan).image
    pictures = plan.forecast["pictures"]
    maps = plan.forecast["feature maps"]
    with FullAt(pictures + maps * 3 // 4):
        result = s2.upscale(model, image, plan=plan)
    assert "went on with tiled" in result.report.fallbacks[-1]
    assert difference(result.image, expected) < 0.1


@pytest.mark.parametrize("strategy", ["whole", "staged"])
def test_who_asked_for_an_exact_strategy_gets_no_tiles(model, make_image, strategy):
    image = make_image(3, 96, 96)
    plan = s2.make_plan(model, 96, 96, 2, strategy=strategy)
    capacity = plan.forecast["pictures"] + plan.forecast["feature maps"] * 3 // 4
    with (
        PeakMeter() as meter,
        FullAt(capacity),
        pytest.raises(OutOfMemoryError, match="allow strategy auto") as caught,
    ):
        s2.upscale(model, image, plan=plan)
    assert "close other programs" in str(caught.value)
    del caught
    assert meter.live == 0


def test_no_room_for_the_picture_itself_is_said(model, make_image):
    image = make_image(3, 64, 64)
    with FullAt(1000), pytest.raises(OutOfMemoryError, match="the finished pictures"):
        s2.upscale(model, image, 2)


# -- what is finished stays finished -------------------------------------------------------------


class Work:
    """A progress callback that remembers how much was done."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.steps.append((done, total))

    @property
    def done(self) -> int:
        return self.steps[-1][0]


def test_a_failure_in_the_head_costs_a_piece_and_not_the_body(model, make_image):
    image = make_image(3, 48, 48)
    plan = plan_for(model, image, "whole")
    with FailingAllocator() as counting:
        s2.upscale(model, image, plan=plan)
    work = Work()
    with FailingAllocator(counting.count - 3):
        result = s2.upscale(model, image, plan=plan, progress=work)
    assert result.report.fallbacks
    assert work.done == plan.work
    assert work.steps[-1] == (plan.work, plan.work)


def test_a_failure_in_a_stage_costs_no_more_than_the_stage(make_model, make_network, make_image):
    config = dataclasses.replace(CONFIG, depths=(2,) * 6, num_heads=(2,) * 6)
    model = make_model(make_network(config))
    image = make_image(3, 24, 24)
    plan = plan_for(model, image, "whole")
    with FailingAllocator() as counting:
        expected = s2.upscale(model, image, plan=plan).image
    stage = plan.passes[0].stage_work(0)
    for number in range(20, counting.count, 41):
        work = Work()
        with FailingAllocator(number):
            result = s2.upscale(model, image, plan=plan, progress=work)
        assert work.done <= plan.work + stage
        assert work.steps[-1][0] == work.steps[-1][1]
        assert difference(result.image, expected) <= TOLERANCE


def test_from_whole_to_staged_in_the_middle(model, make_image):
    """The map moves to the host; the stages before the failure are not run again."""
    image = make_image(3, 40, 40)
    whole = plan_for(model, image, "whole").passes[0]
    staged = Staged(**layout(whole), region_side=16)
    expected = s2.upscale(model, image, 2).image
    for number in itertools.count(1, 13):
        output = torch.empty(1, 3, 80, 80)
        work = ladder.Pass(model.network, image, WholeCanvas(output), lambda _: None)
        try:
            with FailingAllocator(number):
                work.run(whole)
            break
        except RuntimeError:
            work.run(staged)
        assert difference(output.clamp(0, 1), expected) <= TOLERANCE, number
    assert number > 90


def test_finished_frames_stay_and_later_ones_start_small(model, make_image, caplog):
    image = make_image(3, 24, 24, batch=3)
    plan = plan_for(model, image, "whole")
    expected = s2.upscale(model, image, plan=plan).image
    with FailingAllocator() as counting:
        s2.upscale(model, image, plan=plan)
    work = Work()
    with FailingAllocator(counting.count // 2), caplog.at_level(logging.WARNING):
        result = s2.upscale(model, image, plan=plan, progress=work)
    assert len(result.report.fallbacks) == 1
    assert len(caplog.records) == 1
    assert difference(result.image, expected) <= TOLERANCE
    assert plan.work * 3 <= work.done <= plan.work * 3 + plan.passes[0].stage_work(1) * 3


def test_tiles_that_are_finished_are_kept(model, make_image):
    image = make_image(3, 64, 64)
    plan = plan_for(model, image, "tiled", tile_side=24, overlap=8)
    with FailingAllocator() as counting:
        expected = s2.upscale(model, image, plan=plan).image
    tile = plan.passes[0].tile_plan.work
    work = Work()
    with FailingAllocator(counting.count - 10):
        result = s2.upscale(model, image, plan=plan, progress=work)
    if "tiles of 24 px" in result.report.fallbacks[0].split("went on with")[1]:
        assert work.done <= plan.work + tile
    assert difference(result.image, expected) <= 0.02


def test_pieces_are_shown_as_they_are_finished(model, make_image):
    """Every pixel of the last pass is announced once, and is final then."""
    image = make_image(3, 24, 40)
    seen = torch.zeros(96, 160)
    pieces = []

    def look(piece: s2.Piece) -> None:
        pieces.append(piece)
        if piece.pass_number == piece.passes == 2:
            seen[piece.box.rows, piece.box.columns] += 1
            assert piece.image.shape[-2:] == (96, 160)
            shown.append(piece.image[0, :, piece.box.y0, piece.box.x0].clone())

    shown = []
    result = s2.upscale(model, image, 4, on_piece=look)
    assert bool((seen == 1).all())
    last = [p for p in pieces if p.pass_number == 2]
    for piece, pixel in zip(last, shown, strict=True):
        final = result.image[0, :, piece.box.y0, piece.box.x0]
        assert torch.allclose(pixel.clamp(0, 1), final)


# -- before the error ----------------------------------------------------------------------------


def test_a_neighbour_that_takes_the_memory_makes_a_run_step_down(model, make_image, monkeypatch):
    """What the system says is free falls in the middle: the run goes on smaller, in time."""
    image = make_image(3, 96, 96)
    plan = s2.make_plan(model, 96, 96, 2)
    expected = s2.upscale(model, image, plan=plan).image
    answers = itertools.chain([1 << 40] * 3, itertools.repeat(plan.forecast_bytes // 2))
    monkeypatch.setattr(watch, "_SECONDS", 0)
    monkeypatch.setattr(watch, "used_bytes", lambda device: 0)
    monkeypatch.setattr(watch, "free_bytes", lambda device: next(answers))
    monkeypatch.setattr(ladder, "free_bytes", lambda device: plan.forecast_bytes // 2)
    result = s2.upscale(model, image, plan=plan)
    assert "more to come and only" in result.report.fallbacks[0]
    assert difference(result.image, expected) <= 0.02


def test_a_run_over_its_budget_steps_down(model, make_image, monkeypatch):
    image = make_image(3, 48, 48)
    plan = s2.make_plan(model, 48, 48, 2, 4 << 20)
    expected = s2.upscale(model, image, plan=plan).image
    used = itertools.chain([0, 0, 1 << 30], itertools.repeat(0))
    monkeypatch.setattr(watch, "_SECONDS", 0)
    monkeypatch.setattr(watch, "used_bytes", lambda device: next(used))
    result = s2.upscale(model, image, plan=plan)
    assert "of a budget of 4.00 MB" in result.report.fallbacks[0]
    assert difference(result.image, expected) <= TOLERANCE


@pytest.mark.parametrize(
    ("strategy", "sizes"),
    [("whole", {}), ("staged", {"region_side": 16}), ("tiled", {"tile_side": 24, "overlap": 8})],
    ids=["whole", "staged", "tiled"],
)
def test_whenever_a_run_steps_down_the_picture_is_right(
    model, make_image, monkeypatch, strategy, sizes
):
    """After every single piece of work: nothing is done twice that may be done once only."""
    image = make_image(3, 16, 24 if strategy != "tiled" else 40)
    plan = plan_for(model, image, strategy, **sizes)
    looks = itertools.count(1)
    monkeypatch.setattr(watch.MemoryWatch, "check", lambda self: next(looks))
    expected = s2.upscale(model, image, plan=plan).image
    for number in range(1, next(looks)):
        calls = itertools.count(1)

        def look(self, calls=calls, number=number):
            if next(calls) == number:
                raise watch.OverBudget("stopped")

        monkeypatch.setattr(watch.MemoryWatch, "check", look)
        result = s2.upscale(model, image, plan=plan)
        assert result.report.fallbacks or number == 1
        allowed = TOLERANCE if strategy != "tiled" else 0.1
        assert difference(result.image, expected) <= allowed, number


def test_a_system_that_says_nothing_is_free_stops_nobody(model, make_image, monkeypatch):
    """Too little for the smallest plan, says the system; but nothing fails, so the run ends."""
    image = make_image(3, 24, 24)
    plan = s2.make_plan(model, 24, 24, 2)
    expected = s2.upscale(model, image, plan=plan).image
    monkeypatch.setattr(watch, "_SECONDS", 0)
    monkeypatch.setattr(watch, "used_bytes", lambda device: 0)
    for module in (watch, ladder):
        monkeypatch.setattr(module, "free_bytes", lambda device: 0)
    result = s2.upscale(model, image, plan=plan)
    assert result.report.fallbacks
    assert difference(result.image, expected) <= 0.02


def test_where_two_frames_failed_the_third_starts(model, make_image):
    """Each failure leads further down, and what it led to is the plan for what comes."""
    image = make_image(3, 24, 24, batch=3)
    plan = plan_for(model, image, "whole")
    expected = s2.upscale(model, image, plan=plan).image
    with FailingAllocator() as counting:
        s2.upscale(model, image[:1], plan=plan)
    first, again = counting.count // 2, counting.count * 2
    with FailingAllocator(first, again):
        result = s2.upscale(model, image, plan=plan)
    assert len(result.report.fallbacks) == 2
    assert difference(result.image, expected) <= TOLERANCE
    (started,), (left,) = plan.passes, result.report.next_plan.passes
    assert left != started
    assert left.charged_bytes < started.charged_bytes
    later = s2.upscale(model, image[:1], plan=s2_plan(result.report.next_plan, 1))
    assert not later.report.fallbacks
    assert later.report.next_plan.passes == (left,)


def s2_plan(plan, batch):
    """The same passes for another number of frames."""
    return dataclasses.replace(plan, request=dataclasses.replace(plan.request, batch=batch))
