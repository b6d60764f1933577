"""fp16 that cannot overflow, the probe behind it, and the redo in a wider type."""

import logging
import math

import pytest
import torch

import swin2sr_core as s2
from swin2sr_core.errors import NonFiniteError
from swin2sr_core.models.model import Attempts, Model, build_model
from swin2sr_core.prepared.fold import fold
from swin2sr_core.prepared.precision import blocks_of, layer_errors, probe, quantizable, rescaled

CPU = torch.device("cpu")


def psnr(a, b) -> float:
    return -10 * math.log10(float((a - b).double().square().mean()))


def as_model(network, precision) -> Model:
    return build_model("tiny", network.config, network.state_dict(), precision, CPU)


@pytest.mark.parametrize(("branch", "growth"), [(0, 0), (12, 0), (20, 4), (12, 9), (-14, -6)])
def test_fp16_is_right_whatever_the_branches_are_scaled_by(overflowing, make_image, branch, growth):
    network = overflowing(branch, growth)
    image = make_image(3, 24, 19)
    expected = network(image).clamp(0, 1)
    result = s2.upscale(as_model(network, "fp16"), image, 2)
    assert result.report.fallbacks == ()
    assert psnr(result.image, expected) > 55


@pytest.mark.parametrize(("branch", "growth"), [(17, 0), (12, 14)])
def test_without_scaling_such_a_network_overflows(overflowing, make_image, branch, growth):
    """The test above shows something: folded as it is, the same network gives NaN."""
    network = overflowing(branch, growth)
    naive = Model("naive", network.config, "fp16", fold(network, torch.float16, CPU))
    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        s2.upscale(naive, make_image(3, 16, 16), 2)


@pytest.mark.parametrize("residual", ["1conv", "3conv"])
def test_a_rescaled_network_computes_the_same(make_config, make_network, make_image, residual):
    """Powers of two change no digit; the 3conv's leaky ReLUs let them through."""
    network = make_network(make_config(residual=residual))
    scaled = rescaled(network, probe(network))
    image = make_image(3, 24, 17)
    assert (scaled(image) - network(image)).abs().max() <= 1e-6
    before, after = network.state_dict(), scaled.state_dict()
    assert sum(not torch.equal(before[name], after[name]) for name in before) > 20


def test_a_rescaled_network_is_small_everywhere(overflowing):
    network = overflowing(20, 9)
    assert probe(network).stream > 1000
    peaks = probe(rescaled(network, probe(network)))
    seen = [value for block in peaks.blocks.values() for value in vars(block).values()]
    assert max(seen) <= 2**9 and peaks.stream <= 2**5


@pytest.mark.parametrize(("growth", "fits"), [(-6, True), (0, True), (20, False)])
def test_hidden_layers_are_scaled_down_alone(make_config, make_network, growth, fits):
    """GELU takes any factor but 1 in a copy in float32: where the values fit, none is worth it."""
    network = make_network(make_config())
    for _, block in blocks_of(network):
        block.mlp.fc1.weight.mul_(2.0**growth)
    scales = [block.mlp.hidden_scale for _, block in blocks_of(rescaled(network, probe(network)))]
    assert all(scale == 1 if fits else scale < 1 for scale in scales)


def test_the_probe_leaves_no_hooks(make_config, make_network):
    network = make_network(make_config())
    probe(network)
    layer_errors(network)
    hooks = [(m._forward_hooks, m._forward_pre_hooks) for m in network.modules()]
    assert not any(after or before for after, before in hooks)


def test_what_is_not_finite_is_redone_in_a_wider_type_with_one_warning(
    overflowing, make_image, caplog
):
    """The head overflows here: nothing after it would take a factor away."""
    network = overflowing(0)
    image = make_image(3, 16, 16, batch=2)
    model = as_model(network, "fp16")
    model.folded.conv_after_body.conv.get_parameter("bias").fill_(65504)
    model.folded.conv_after_body.conv.get_parameter("weight").mul_(2.0**11)
    with caplog.at_level(logging.WARNING):
        result = s2.upscale(model, image, 2)
    assert torch.isfinite(result.image).all()
    assert psnr(result.image, network(image).clamp(0, 1)) > 30
    assert result.report.fallbacks == (
        "fp16 gave values that are not finite, so bf16 was used instead",
    )
    assert len([r for r in caplog.records if "not finite" in r.message]) == 1


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "int8"])
def test_a_network_without_finite_values_is_told(make_config, make_network, make_image, precision):
    network = make_network(make_config())
    network.upsample[0].bias.fill_(3e38)
    network.upsample[0].weight.fill_(3e38)
    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        s2.upscale(as_model(network, precision), make_image(3, 16, 16), 2)


def test_progress_ends_at_all_of_the_work_after_a_redo(overflowing, make_image):
    model = as_model(overflowing(0), "fp16")
    model.folded.conv_after_body.conv.get_parameter("bias").fill_(float("inf"))
    seen = []
    s2.upscale(model, make_image(3, 16, 16), 2, progress=lambda *step: seen.append(step))
    assert seen[-1][0] == seen[-1][1]


def test_attempts_stay_with_the_wider_network(overflowing):
    model = as_model(overflowing(0), "fp16")
    told, used = [], []
    attempts = Attempts(model, told.append)

    def work(network):
        used.append(network.dtype)
        if network.dtype == torch.float16:
            raise NonFiniteError("once")

    attempts.run(work)
    attempts.run(work)
    assert used == [torch.float16, torch.bfloat16, torch.bfloat16]
    assert len(told) == 1


def test_a_layer_that_loses_too_much_stays_in_float(make_config, make_network):
    """One weight of a row drowns the others: an int8 step is larger than they are."""
    network = make_network(make_config())
    (first, _), (name, block), *_ = blocks_of(network)
    assert len(quantizable(network)) == 4 * 4  # of five blocks the first is not asked
    assert not any(layer.startswith(f"{first}.") for layer in quantizable(network))
    block.attn.proj.weight[:, 0] = 1e4
    block.attn.qkv.weight[2 * network.config.embed_dim] = 0  # and this one is never needed
    block.attn.v_bias[0] = 0
    errors = layer_errors(network)
    assert (
        errors[f"{name}.attn.proj"]
        < 26
        < min(ratio for layer, ratio in errors.items() if layer != f"{name}.attn.proj")
    )
    assert f"{name}.attn.proj" not in quantizable(network)
