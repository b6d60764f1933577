"""Plain colours are mended, and little else changes."""

import copy
from dataclasses import replace

import pytest
import torch

from swin2sr_core.errors import InputError
from swin2sr_core.models.catalog import resolve_model
from swin2sr_core.models.checkpoint import load_checkpoint
from swin2sr_core.network.network import Swin2SR
from training.__main__ import main
from training.checkpoint import RunState, save_run
from training.plain_colors import mend_plain_colors


@pytest.fixture
def network():
    """The bundled one, put wrong by some levels."""
    config, state = load_checkpoint(resolve_model("compact-x4"))
    network = Swin2SR(config)
    network.load_state_dict(state)
    bias = network.get_parameter("upsample.0.bias")
    with torch.no_grad():
        bias += 0.01 * torch.randn(bias.shape, generator=torch.Generator().manual_seed(0))
    return network


@torch.no_grad()
def test_what_is_plain_is_right_and_photographs_hardly_change(network, make_image):
    pictures = [make_image(3, 48, 48, batch=2, seed=seed) for seed in range(4)]
    before = copy.deepcopy(network)
    errors = mend_plain_colors(network, pictures)
    assert errors[0] > 4 / 255 and errors[1] < 0.9 / 255
    for color in ((1.0, 0.0, 1.0), (0.3, 0.6, 0.1)):  # one of those it looked at, and another
        plain = torch.tensor(color).view(1, 3, 1, 1)
        made = network(plain.expand(1, 3, 21, 13))
        assert float((made - plain).abs().max()) < 0.9 / 255
    other = make_image(3, 40, 40, seed=9)
    assert float((network(other) - before(other)).square().mean().sqrt()) < errors[0]


def test_another_head_is_refused(make_config, make_network, make_image):
    network = make_network(make_config(head="pixelshuffle"))
    with pytest.raises(InputError, match=r"pixelshuffledirect head.*leave --plain-colors out"):
        mend_plain_colors(network, [make_image(3, 16, 16)])


def test_export_mends(network, tiny_run, tmp_path, caplog):
    config = replace(tiny_run(), network=network.config)
    weights = dict(network.state_dict())
    save_run(tmp_path / "last.pt", RunState(1, 1.0, weights, weights, {}, config.to_dict()))
    out = str(tmp_path / "a.safetensors")
    with caplog.at_level("INFO", "training"):
        assert main(["export", str(tmp_path / "last.pt"), out, "--plain-colors"]) == 0
    assert "plain colours: off by" in caplog.text
