"""The engine on a pretended graphics card: nothing that one would refuse, and what was planned."""

import pytest
import torch
from pretended_card import CUDA, Card

import swin2sr_core as s2
from swin2sr_core.models.model import build_model

CPU = torch.device("cpu")
TOLERANCES = {"fp32": 1e-5, "bf16": 0.2, "fp16": 0.02, "int8": 0.2}
STRATEGIES = ("whole", "staged", "tiled")
PLACES = {"from the host": CPU, "from the card": CUDA}


@pytest.fixture
def built(make_network):
    """(config, precision, device) -> the same network as a loaded model there."""

    def build(config, precision="fp32", device=CPU):
        state = make_network(config).state_dict()
        return build_model("tiny", config, state, precision, device)

    return build


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("place", PLACES)
def test_every_way_runs(built, make_image, tiny_configs, strategy, precision, place):
    for head, config in tiny_configs.items():
        image = make_image(config.in_channels, 41, 50)
        exact = built(config)
        plan = s2.make_plan(exact, 41, 50, config.scale, strategy=strategy)
        wanted = s2.upscale(exact, image, plan=plan).image
        with Card(), torch.inference_mode():
            model = built(config, precision, CUDA)
            plan = s2.make_plan(model, 41, 50, config.scale, strategy=strategy)
            result = s2.upscale(model, image.to(PLACES[place]), plan=plan)
            assert result.image.device == PLACES[place]
            made = result.image.to(CPU)
        assert result.report.fallbacks == () or precision == "int8", head
        assert torch.allclose(made, wanted, atol=TOLERANCES[precision]), head
