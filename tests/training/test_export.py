"""An exported file is small, of fp16, and loads as the average it came from."""

import pytest
import torch
from safetensors import safe_open

import swin2sr_core as s2
from training.__main__ import main
from training.checkpoint import RunState, save_run
from training.start import starting_network


@pytest.fixture
def state(tiny_run):
    config = tiny_run()
    weights = dict(starting_network(config).state_dict())
    return RunState(12, 1.0, {}, weights, {}, config.to_dict())


def test_it_loads_as_the_average(state, tmp_path):
    save_run(tmp_path / "last.pt", state)
    out = tmp_path / "model.safetensors"
    assert main(["export", str(tmp_path / "last.pt"), str(out), "--name", "mine"]) == 0
    with safe_open(str(out), "pt") as file:
        assert file.metadata() == {
            "architecture": "Swin2SR",
            "name": "mine",
            "scale": "2",
            "steps": "12",
            "license": "Apache-2.0",
        }
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert {name: weight.half() for name, weight in state.average.items()}.keys() == found.keys()
    assert all(torch.equal(found[name], w.half()) for name, w in state.average.items())
    assert s2.load_model(out).config.scale == 2


def test_what_fp16_cannot_hold_is_told(state, tmp_path, caplog):
    state.average["norm.weight"] = torch.full((12,), 1e6)
    save_run(tmp_path / "last.pt", state)
    assert main(["export", str(tmp_path / "last.pt"), str(tmp_path / "a.safetensors")]) == 2
    assert "`norm.weight` has values that fp16 cannot hold" in caplog.text
    assert not (tmp_path / "a.safetensors").exists()


def test_an_existing_file_stays(state, tmp_path, caplog):
    save_run(tmp_path / "last.pt", state)
    (tmp_path / "a.safetensors").write_text("precious")
    assert main(["export", str(tmp_path / "last.pt"), str(tmp_path / "a.safetensors")]) == 2
    assert "exists already" in caplog.text
    assert (tmp_path / "a.safetensors").read_text() == "precious"


def test_pictures_are_drawn_to_look_at(tmp_path):
    assert main(["draw", str(tmp_path / "out"), "--count", "2"]) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


def test_another_networks_weights_are_mixed_in(state, tmp_path):
    save_run(tmp_path / "last.pt", state)
    other = tmp_path / "other.safetensors"
    assert main(["export", str(tmp_path / "last.pt"), str(other)]) == 0
    for weight in state.average.values():
        weight.add_(1.0)
    save_run(tmp_path / "last.pt", state)
    out = tmp_path / "mixed.safetensors"
    assert main(["export", str(tmp_path / "last.pt"), str(out), "--mix", f"{other}:0.25"]) == 0
    with safe_open(str(out), "pt") as mixed, safe_open(str(other), "pt") as first:
        for name in mixed.keys():  # noqa: SIM118
            moved = mixed.get_tensor(name) - first.get_tensor(name)
            assert (moved - 0.75).abs().max() < 2e-3


@pytest.mark.parametrize(
    ("mix", "told"),
    [
        ("compact-x4", "MODEL:SHARE"),
        ("compact-x4:1.5", "MODEL:SHARE"),
        ("compact-x4:0.5", "another network"),
    ],
)
def test_what_cannot_be_mixed_is_told(state, tmp_path, caplog, mix, told):
    save_run(tmp_path / "last.pt", state)
    out = tmp_path / "a.safetensors"
    assert main(["export", str(tmp_path / "last.pt"), str(out), "--mix", mix]) == 2
    assert told in caplog.text and not out.exists()
