"""Fifty steps lower the loss; interrupted and resumed, or by two processes, it is the same run."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from swin2sr_core.errors import CheckpointError
from training.checkpoint import load_run, save_run
from training.config import Schedule
from training.dataset import Batches
from training.loop import LAST, Trainer, learning_rate, make_optimiser, progress
from training.losses import training_loss
from training.processes import Processes
from training.start import starting_network

ALONE = Processes(0, 1, torch.device("cpu"))


def train(config, folder, stop_after=None):
    """The state after a run that is asked to stop after so many steps."""
    folder.mkdir(exist_ok=True)
    trainer = Trainer(config, folder, ALONE)
    trainer.should_stop = lambda: stop_after is not None and trainer.step >= stop_after
    return trainer.run()


def loss_of(config, weights):
    """On four batches that no run of these tests gets to."""
    network = starting_network(config)
    network.load_state_dict(weights)
    batches = Batches(config.data, network.config.scale, config.batch, config.seed)
    with torch.no_grad():
        pairs = [batches[10_000 + i] for i in range(4)]
        return sum(float(training_loss(network(a), b, config.loss)) for a, b in pairs)


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


@pytest.fixture(scope="module")
def in_one_go(tiny_run, tmp_path_factory):
    return train(tiny_run(), tmp_path_factory.mktemp("one"))


def test_fifty_steps_on_two_pictures_lower_the_loss(tiny_run, in_one_go):
    config = tiny_run()
    before = loss_of(config, starting_network(config).state_dict())
    assert in_one_go.step == 50
    assert loss_of(config, in_one_go.average) < 0.8 * before


def test_interrupted_and_resumed_it_gives_the_same_weights(tiny_run, in_one_go, tmp_path):
    train(tiny_run(), tmp_path, stop_after=7)
    assert load_run(tmp_path / LAST).step == 7
    train(tiny_run(), tmp_path, stop_after=31)
    state = train(tiny_run(), tmp_path)
    assert state.step == 50
    assert_same(state.network, in_one_go.network)
    assert_same(state.average, in_one_go.average)


def test_the_seed_decides_the_run(tiny_run, in_one_go, tmp_path):
    other = train(tiny_run(seed=1), tmp_path)
    assert not torch.equal(
        other.network["conv_first.weight"], in_one_go.network["conv_first.weight"]
    )


def test_bf16_and_a_degraded_share_train_too(tiny_run, tmp_path):
    changes = {
        "data__degradation": {"share": 0.5, "last": [{"damage": "jpeg", "amount": [60, 90]}]}
    }
    config = tiny_run(precision="bf16", loss__name="charbonnier", loss__frequency=0.05, **changes)
    before = loss_of(config, starting_network(config).state_dict())
    assert loss_of(config, train(config, tmp_path).average) < 0.9 * before


def test_a_finished_run_takes_no_further_step(tiny_run, tmp_path):
    config = tiny_run(schedule__steps=3)
    first = train(config, tmp_path)
    assert_same(train(config, tmp_path).network, first.network)


def test_the_average_follows_the_weights(tiny_run, tmp_path):
    """After two steps of decay d: d * first + (1 - d) * second."""
    config = tiny_run(schedule__steps=2)
    first = train(config, tmp_path, stop_after=1).network
    first = {name: value.clone() for name, value in first.items()}
    state = train(config, tmp_path)
    name = "conv_first.weight"
    expected = 0.9 * first[name] + 0.1 * state.network[name]
    torch.testing.assert_close(state.average[name], expected)
    assert not torch.equal(state.average[name], state.network[name])


def test_validation_and_log_are_written(tiny_run, two_pictures, tmp_path):
    config = tiny_run(
        schedule__steps=4, validation={"hr": str(two_pictures), "every": 2}, log_every=2
    )
    train(config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    scores = [line["validation_psnr"] for line in lines if "validation_psnr" in line]
    losses = [line["step"] for line in lines if "loss" in line]
    assert len(scores) == 2 and all(10 < score < 60 for score in scores)
    assert losses == [2, 4]


def test_tensorboard_reads_the_log(tiny_run, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `train` is not installed")
    accumulator = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")

    train(tiny_run(schedule__steps=4, log_every=2), tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [2, 4]


# -- checkpoints -----------------------------------------------------------------------------------


def test_a_checkpoint_comes_back_unchanged(in_one_go, tmp_path):
    save_run(tmp_path / "a.pt", in_one_go)
    back = load_run(tmp_path / "a.pt")
    assert (back.step, back.seconds, back.config) == (50, in_one_go.seconds, in_one_go.config)
    assert_same(back.network, in_one_go.network)


def test_a_damaged_checkpoint_is_told(in_one_go, tmp_path):
    save_run(tmp_path / "a.pt", in_one_go)
    content = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "a.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"a\.pt is no whole training checkpoint"):
        load_run(tmp_path / "a.pt")


def test_a_checkpoint_of_another_network_is_told(tiny_run, in_one_go, tmp_path):
    save_run(tmp_path / LAST, in_one_go)
    with pytest.raises(CheckpointError, match="is of another network than the config describes"):
        Trainer(tiny_run(network__mlp_dim=36), tmp_path, ALONE)


# -- the schedule ----------------------------------------------------------------------------------


def test_steps_or_minutes_end_a_run_whichever_comes_first():
    assert progress(Schedule(steps=100), 25, 1e9) == 0.25
    assert progress(Schedule(minutes=10), 1000, 300) == 0.5
    assert progress(Schedule(steps=100, minutes=10), 75, 300) == 0.75
    assert progress(Schedule(steps=100, minutes=10), 25, 600) == 1.0


def test_the_rate_warms_up_and_cools_to_zero():
    schedule = Schedule(steps=100, warmup=10, learning_rate=1.0)
    rates = [learning_rate(schedule, step, step / 100) for step in range(101)]
    assert rates[0] == 0.1
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[50] == pytest.approx(0.5) and rates[100] == pytest.approx(0)


# -- real processes --------------------------------------------------------------------------------


def command(config, folder, checkout, *launcher):
    """The command line that runs this config, and its environment."""
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    words = [*(launcher or ("-m",)), "training", "fit", folder / "config.json", "--out", folder]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return [sys.executable, *map(str, words), "--device", "cpu"], environment


def test_two_processes_take_the_step_of_one_with_both_batches(tiny_run, checkout, tmp_path):
    config = tiny_run(schedule__steps=1)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m"]
    words, environment = command(config, tmp_path, checkout, *launcher)
    done = subprocess.run(
        words, cwd=checkout, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr

    network = starting_network(config)
    optimiser = make_optimiser(network, config)
    parts = [Batches(config.data, 2, config.batch, config.seed, rank)[0] for rank in (0, 1)]
    low, high = (torch.cat(each) for each in zip(*parts, strict=True))
    training_loss(network(low), high, config.loss).backward()
    nn.utils.clip_grad_norm_(network.parameters(), config.optimiser.clip)
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(config.schedule, 0, 0.0)
    optimiser.step()

    found = load_run(tmp_path / LAST).network
    for name, value in network.state_dict().items():
        # Adam's first step is a sign: where a gradient is next to nothing, its sign is chance
        close = torch.isclose(found[name], value, atol=1e-6)
        assert float(close.float().mean()) > 0.98, name


def test_a_signal_ends_a_run_that_goes_on_later(tiny_run, checkout, tmp_path):
    config = tiny_run(schedule__steps=100_000, log_every=1)
    words, environment = command(config, tmp_path, checkout)
    process = subprocess.Popen(
        words, cwd=checkout, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        while not (tmp_path / "log.jsonl").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert load_run(tmp_path / LAST).step >= 1
