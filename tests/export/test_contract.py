"""What a file says of itself: there and back, and nothing that contradicts itself."""

import json
from typing import Any

import pytest
import torch

from swin2sr_core.errors import CheckpointError
from swin2sr_core.export.contract import PREFIX, Contract, contract_from, receptive_field

TOLD: dict[str, Any] = {
    "model": "tiny",
    "precision": "fp32",
    "licence": "MIT",
    "weights_sha256": "0" * 64,
}


@pytest.fixture
def metadata(make_config):
    return Contract.of(make_config(), **TOLD).to_metadata()


def test_there_and_back(tiny_config):
    contract = Contract.of(tiny_config, **TOLD, size=(64, 56))
    back = contract_from(contract.to_metadata())
    assert back == contract
    assert back.network_config == tiny_config
    assert json.loads(contract.to_json())["config"]["embed_dim"] == tiny_config.embed_dim


def test_of_a_file_without_one_it_is_said(metadata):
    with pytest.raises(CheckpointError, match=r"no contract of ours.*swin2sr export"):
        contract_from({"author": "somebody"})


def test_a_newer_version_is_not_guessed_at(metadata):
    with pytest.raises(CheckpointError, match=r"version 2 of the contract.*update swin2sr"):
        contract_from({**metadata, f"{PREFIX}contract": "2", f"{PREFIX}future": "?"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", "3"),
        ("scale", "-1"),
        ("scale", "9" * 5000),
        ("channels", "1"),
        ("window", "7"),
        ("precision", "fp64"),
        ("config", "{}"),
        ("config", "[" * 100_000),
        ("contract", "one"),
    ],
)
def test_what_contradicts_itself_is_refused_in_a_sentence(metadata, name, value):
    with pytest.raises(CheckpointError, match=r"export it again$"):
        contract_from({**metadata, f"{PREFIX}{name}": value})


def test_a_missing_entry_is_refused(metadata):
    del metadata[f"{PREFIX}tile"]
    with pytest.raises(CheckpointError, match="damaged"):
        contract_from(metadata)


@pytest.mark.parametrize(
    "changes",
    [{"embed_dim": 10**9}, {"depths": (10**6,)}, {"window": 64}, {"mlp_dim": 0}, {"head": "x"}],
)
def test_numbers_that_no_network_has_are_refused(make_config, metadata, changes):
    """They decide about memory before anything else looks at the file."""
    config = json.loads(metadata[f"{PREFIX}config"])
    changed = json.dumps({**config, **changes})
    with pytest.raises(CheckpointError):
        contract_from({**metadata, f"{PREFIX}config": changed})


def test_nothing_beyond_the_receptive_field_counts(make_config, make_network, make_image):
    """And something near it does: the number is no mere upper bound that anything would satisfy."""
    network = make_network(make_config())
    field = receptive_field(network.config)
    image = make_image(3, 8, 2 * 8 * (field // 8 + 2))
    changed = image.clone()
    changed[..., : image.shape[-1] // 2 - field] += 0.5
    middle = image.shape[-1] // 2 * network.config.scale
    before, after = network(image), network(changed)
    assert torch.equal(before[..., middle], after[..., middle])
    near = image.clone()
    near[..., image.shape[-1] // 2 - field // 2] += 0.5
    assert not torch.equal(before[..., middle], network(near)[..., middle])


def test_a_contract_can_be_told_for_a_grey_network(tiny_configs):
    assert Contract.of(tiny_configs["restore-gray"], **TOLD).range == "0..1 grey"
