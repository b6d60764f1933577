"""Configs: there and back, changes by name, and a sentence for every mistake."""

import json

import pytest

from swin2sr_core.errors import InputError
from training.config import TrainingConfig, read_config


@pytest.fixture
def written(tmp_path):
    """(values) -> the path of a JSON file that holds them."""

    def write(values):
        (tmp_path / "config.json").write_text(json.dumps(values))
        return tmp_path / "config.json"

    return write


def test_a_config_survives_json(tiny_run):
    step = {"damage": "jpeg", "amount": [50, 90], "chance": 0.5}
    config = tiny_run(data__degradation={"share": 0.5, "last": [step]}, loss__name="l2")
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_recipes_are_configs_that_end(checkout):
    recipes = sorted((checkout / "training" / "recipes").glob("*.json"))
    assert recipes
    for recipe in recipes:
        schedule = read_config(recipe).schedule
        assert schedule.steps or schedule.minutes


def test_changes_go_to_their_place(written):
    path = written({"schedule": {"steps": 5}, "batch": 4})
    changes = ["schedule.steps=7", 'data.folders=["a"]', "start=some/file.pth", "loss.name=l2"]
    config = read_config(path, changes)
    assert (config.schedule.steps, config.data.folders) == (7, ("a",))
    assert (config.start, config.loss.name, config.batch) == ("some/file.pth", "l2", 4)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bach": 4}, "the config has no 'bach'; it has batch,"),
        ({"data": {"crops": 4}}, "data of the config has no 'crops'"),
        ({"batch": "4"}, "batch of the config must be of type int, got '4'"),
        ({"batch": 2.5}, "batch of the config must be of type int, got 2.5"),
        ({"batch": True}, "batch of the config must be of type int, got True"),
        ({"compile": 1}, "compile of the config must be of type bool, got 1"),
        ({"data": {"folders": "a"}}, "folders of data of the config must be a list"),
        ({"data": 3}, r"data of the config must be a JSON object, got 3; write \{...\}"),
        ({"optimiser": {"betas": [0.9]}}, "must be a list of 2"),
        ({"network": {"scale": 2}}, "network of the config is incomplete"),
        ({"loss": {"name": "l3"}}, "loss.name must be l1, charbonnier or l2, got 'l3'"),
        ({"precision": "fp16"}, "precision must be fp32 or bf16, got 'fp16'"),
        ({"batch": 0}, "batch must be 1 or more, got 0"),
        ({"data": {"degradation": {"share": 2}}}, "share must be 0 to 1, got 2"),
        (
            {"data": {"degradation": {"steps": [{"damage": "dirt", "amount": [0, 1]}]}}},
            "there is no damage 'dirt'",
        ),
        ({"data": {"flat_share": -0.1}}, "data.flat_share must be 0 to 1, got -0.1"),
    ],
)
def test_mistakes_are_told(values, said, written):
    with pytest.raises(InputError, match=said):
        read_config(written(values))


def test_a_change_without_a_value_is_told(written):
    with pytest.raises(InputError, match="must be NAME=VALUE, got 'batch'"):
        read_config(written({}), ["batch"])


def test_what_is_no_json_is_told(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="cannot read the config"):
        read_config(tmp_path / "config.json")
