"""A graphics card, a pretended one, gets the fastest kernel that is right there; found once."""

import json
import logging
from dataclasses import replace

import pytest
import torch

pytest.importorskip("triton", minversion="3.2")

from pretended_card import CUDA, Card
from triton_on_cpu import launched_on, mend_bf16

import swin2sr_core as s2
from swin2sr_core.kernels import choice, setting, trial, verdicts
from swin2sr_core.kernels.card import functions, kernels
from swin2sr_core.kernels.trial import Verdict
from swin2sr_core.models.model import build_model

NAMES = [kernels.CORE, f"{kernels.BLOCK}, 4 warps", f"{kernels.BLOCK}, 8 warps"]


@pytest.fixture
def card(monkeypatch, tmp_path):
    monkeypatch.setenv(setting.VARIABLE, "auto")
    monkeypatch.setenv("SWIN2SR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(trial, "_CHECK_WINDOWS", {"cuda": 4})
    monkeypatch.setattr(trial, "_TURNS", 1)
    monkeypatch.setattr(trial, "_ROUNDS", 1)
    mend_bf16(monkeypatch)
    made = Card()
    launched_on(made, monkeypatch)
    return made


@pytest.fixture
def fastest(monkeypatch):
    """Has a kernel of that name found to be the fastest: there is no card to measure."""

    def make(name):
        def judge(network, contender, timed=True):
            return Verdict(slowness=(0.3 if contender.name == name else 0.9) if timed else 0.0)

        monkeypatch.setattr(choice, "judge", judge)

    return make


@pytest.fixture
def model_on(make_config, make_network):
    def make(precision, **changes):
        config = make_config(**changes)
        return build_model("tiny", config, make_network(config).state_dict(), precision, CUDA)

    return make


@pytest.mark.parametrize(
    ("name", "strategy"),
    [*((name, "whole") for name in NAMES), (NAMES[0], "staged"), (NAMES[1], "tiled")],
)
def test_it_makes_the_references_picture(
    card, fastest, model_on, make_image, monkeypatch, name, strategy
):
    fastest(name)
    tile = 16 if strategy == "tiled" else 0
    with card:
        model = model_on("bf16", depths=(2,), num_heads=(2,))
        image = make_image(3, 13, 20)
        plan = s2.make_plan(model, 13, 20, 2, strategy=strategy, tile=tile, overlap=4)
        (each,) = plan.passes
        plan = replace(plan, passes=(replace(each, head_side=16, conv_side=16),))
        found = s2.upscale(model, image, plan=plan)
        monkeypatch.setenv(setting.VARIABLE, "reference")
        expected = s2.upscale(model, image, plan=plan)
        exact = s2.upscale(model_on("fp32", depths=(2,), num_heads=(2,)), image, 2).image
    assert (found.report.kernel, expected.report.kernel) == (name, "reference")
    assert not found.report.fallbacks
    if strategy != "tiled":
        assert (found.image - exact).norm() <= 1.1 * (expected.image - exact).norm()
    assert (found.image - expected.image).abs().max() <= 0.05
    used = ["attention_core", "add_normalised"]
    if name != kernels.CORE:
        used = ["attention_half", "mlp_half"]
    assert all(card.launches[each] for each in used)


def test_the_trial_finds_all_of_them_right(card, model_on, monkeypatch):
    monkeypatch.setattr(choice, "_FASTER", float("inf"))  # an interpreter is not
    with card:
        network = model_on("bf16").network
        assert choice.chosen(network).name in NAMES
        known = verdicts.known(verdicts.key_of(network))
    assert sorted(known) == sorted(NAMES)
    assert not any(each.fault for each in known.values())


def test_what_is_wrong_is_not_chosen(card, model_on, monkeypatch):
    monkeypatch.setattr(choice, "_FASTER", float("inf"))
    for name in ("attention_half", "add_normalised"):
        launch = getattr(functions, name)

        class Wrong:
            def __getitem__(self, grid, launch=launch, name=name):
                def run(*arguments, **options):
                    launch[grid](*arguments, **options)
                    arguments[2 if name == "add_normalised" else 1].mul_(1.5)

                return run

        monkeypatch.setattr(functions, name, Wrong())
    with card:
        made = choice.chosen(model_on("bf16").network)
    assert made.name == "reference" and not made.fault
    assert made.reason.count("is wrong on this computer") == 3


def test_a_card_is_tried_once(card, fastest, model_on, monkeypatch, caplog, tmp_path):
    fastest(NAMES[1])
    with card, caplog.at_level(logging.INFO):
        assert choice.chosen(model_on("fp16").network).name == NAMES[1]
        assert "once" in caplog.text
        asked = []

        def judge(network, contender, timed=True):
            asked.append((contender.name, timed))
            return Verdict()

        monkeypatch.setattr(choice, "judge", judge)
        assert choice.chosen(model_on("fp16").network).name == NAMES[1]
        assert asked == [(NAMES[1], False)], "whether it is right with these weights, no more"
        assert choice.chosen(model_on("bf16").network).name in NAMES
        assert (NAMES[0], True) in asked, "another precision is tried anew"
    kept = json.loads((tmp_path / "kernels.json").read_text())
    assert [sorted(each) for each in kept.values() if each] == [sorted(NAMES)]


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', "\0"])
def test_a_damaged_memory_is_started_anew(card, fastest, model_on, tmp_path, content):
    (tmp_path / "kernels.json").write_text(content)
    fastest(NAMES[2])
    with card:
        network = model_on("bf16").network
        assert choice.chosen(network).name == NAMES[2]
        assert sorted(verdicts.known(verdicts.key_of(network))) == sorted(NAMES)


def test_what_failed_is_tried_again(card, model_on, monkeypatch, tmp_path):
    """The next time there may be a compiler."""
    asked = []

    def judge(network, contender, timed=True):
        asked.append(contender.name)
        return Verdict("fails on this computer (no compiler)")

    monkeypatch.setattr(choice, "judge", judge)
    with card:
        for _ in range(2):
            made = choice.chosen(model_on("bf16").network)
            assert made.name == "reference" and "no compiler" in made.reason
    assert asked == NAMES * 2


def test_nothing_faster_is_no_fault(card, model_on, monkeypatch):
    with card:  # an interpreter is slower than anything
        model = model_on("bf16", depths=(2,), num_heads=(2,))
        report = s2.upscale(model, torch.rand(1, 3, 16, 16), 2).report
    assert (report.kernel, report.fallbacks) == ("reference", ())


@pytest.mark.parametrize(
    ("capability", "precision", "changes", "reason"),
    [
        ((7, 5), "fp16", {}, "8.0"),
        ((8, 6), "fp32", {}, "bf16 and fp16"),
        ((8, 6), "bf16", {"window": 9}, "tokens"),
    ],
)
def test_the_rest_is_told_why(
    monkeypatch, tmp_path, model_on, capability, precision, changes, reason
):
    monkeypatch.setenv(setting.VARIABLE, "auto")
    monkeypatch.setenv("SWIN2SR_CACHE_DIR", str(tmp_path))
    with Card(capability):
        made = choice.chosen(model_on(precision, **changes).network)
    assert made.name == "reference" and reason in made.reason
