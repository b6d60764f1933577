"""The engine on a pretended graphics card: nothing that one would refuse, and what was planned."""

from dataclasses import replace

import pytest
import torch
from pretended_card import CUDA, Card

import swin2sr_core as s2
from swin2sr_core.engine.upscale import room_on
from swin2sr_core.models.model import build_model
from swin2sr_core.picture_job import PictureJob, PictureReport
from swin2sr_core.pictures.frame import Frame
from swin2sr_core.planning.picture_plan import PictureSettings

CPU = torch.device("cpu")
TOLERANCES = {"fp32": 1e-5, "bf16": 0.2, "fp16": 0.02, "int8": 0.2}
STRATEGIES = ("whole", "staged", "tiled")
PLACES = {"from the host": CPU, "from the card": CUDA}
SIZE = 29, 34
ALL_HEADS = [("fp32", "from the host"), ("bf16", "from the card")]
FEW_HEADS = ["direct-x2", "nearest-x4-3conv"]

WAITS = {
    "upscale.py:<genexpr>": "whether the input is finite, which its owner is told before all else",
    "passes.py:check_finite": "whether a piece of the output is, where that stays on the card",
    "ferry.py:settle": "a piece that is on its way back, once the next one has been asked for",
    "ferry.py:bring": "the pinned memory for the next region, whose last content is on its way",
    "tiling.py:_add": "a batch of tiles that comes back",
    "upscale.py:report": "the end",
}
"""Where the host may wait for the card, and for what."""


@pytest.fixture
def built(make_network):
    """(config, precision, device) -> the same network as a loaded model there."""

    def build(config, precision="fp32", device=CPU):
        state = make_network(config).state_dict()
        return build_model("tiny", config, state, precision, device)

    return build


def cut(plan, strategy):
    """Several regions and several pieces of the head."""
    (each,) = plan.passes
    each = replace(each, head_side=2 * each.config.window, conv_side=2 * each.config.window)
    if strategy == "staged":
        each = replace(each, region_side=2 * each.config.window)
    return replace(plan, passes=(each,))


def planned(model, strategy, resident=False):
    """For `SIZE`, in many pieces."""
    tile = 24 if strategy == "tiled" else 0
    plan = s2.make_plan(
        model, *SIZE, model.scale, strategy=strategy, tile=tile, overlap=8, resident=resident
    )
    return cut(plan, strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("precision", "place"),
    [
        ("fp32", "from the host"),
        ("fp32", "from the card"),
        ("bf16", "from the card"),
        ("fp16", "from the host"),
        ("int8", "from the host"),
    ],
)
def test_every_way_runs_as_planned(
    built, make_image, tiny_configs, strategy, precision, place, reference_kernel
):
    """With the CPU's result; without a wait that is not named, and within the forecast."""
    resident = PLACES[place] == CUDA
    for head in tiny_configs if (precision, place) in ALL_HEADS else FEW_HEADS:
        config = tiny_configs[head]
        image = make_image(config.in_channels, *SIZE)
        exact = built(config)
        wanted = s2.upscale(exact, image, plan=planned(exact, strategy)).image
        with Card() as card, torch.inference_mode():
            model = built(config, precision, CUDA)
            plan = planned(model, strategy, resident)
            given = image.to(PLACES[place])
            before = card.live
            card.reset_peak()
            card.waits.clear()
            result = s2.upscale(model, given, plan=plan)
            taken = card.peak - before
            assert set(card.waits) <= set(WAITS), head
            assert result.image.device == PLACES[place]
            made = result.image.to(CPU)
        assert result.report.fallbacks == (), head
        assert torch.allclose(made, wanted, atol=TOLERANCES[precision]), head
        # a single number for each: what torch rounds up to 512 bytes on a card
        assert 0.9 * plan.forecast_bytes < taken <= plan.forecast_bytes + 2048, head


def test_pictures_on_the_card_are_seen_without_being_told(built, make_config, make_image):
    with Card(), torch.inference_mode():
        model = built(make_config(), "fp32", CUDA)
        image = make_image(3, 24, 32)
        on_host = s2.upscale(model, image).report.plan
        on_card = s2.upscale(model, image.to(CUDA)).report.plan
    pictures = 4 * 4 * 24 * 32 * 3 * 4
    assert on_card.forecast_bytes >= on_host.forecast_bytes + pictures
    assert on_card.host_bytes == 0 < pictures <= on_host.host_bytes


def test_a_model_that_waits_on_the_host_is_folded_for_the_card(make_config, make_network):
    """ComfyUI's way: int8 is computed in bf16 where the card can, whatever the CPU can."""
    config = make_config()
    state = make_network(config).state_dict()
    with Card() as card, torch.inference_mode():
        model = build_model("tiny", config, state, "int8", CPU, CUDA)
        assert model.network.dtype == torch.bfloat16
        model.folded.to(CUDA)
        assert model.prospect.request(*SIZE).native_bf16
        card.capability = (7, 5)
        assert build_model("tiny", config, state, "int8", CPU, CUDA).network.dtype == torch.float32


def test_a_picture_job_stays_on_the_card(built, make_config, make_image):
    """Alpha, sharpening, and a limit on the input's side."""
    model = built(make_config())
    image = make_image(4, 40, 36)
    settings = PictureSettings(sharpen=0.2, max_input_side=32)
    frame = Frame(image[:, :3], image[:, 3:])
    wanted = PictureJob(model, settings).run(frame, PictureReport())
    with Card(), torch.inference_mode():
        model = built(make_config(), "fp32", CUDA)
        job = PictureJob(model, settings, lambda: room_on(CUDA, resident=True))
        made = job.run(Frame(image[:, :3].to(CUDA), image[:, 3:].to(CUDA)), PictureReport())
        assert made.alpha is not None
        assert wanted.alpha is not None
        assert made.color.device == made.alpha.device == CUDA
        color, alpha = made.color.to(CPU), made.alpha.to(CPU)
    assert torch.allclose(color, wanted.color, atol=1e-5)
    assert torch.allclose(alpha, wanted.alpha, atol=1e-5)
