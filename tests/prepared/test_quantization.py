"""int8 linear layers, int8 files and the commands that write them."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import swin2sr_core as s2
from swin2sr_core.models.checkpoint import load_checkpoint, save_checkpoint
from swin2sr_core.models.int8_files import METADATA, compressed, expanded
from swin2sr_core.prepared import int8_products, quantization
from swin2sr_core.prepared.precision import layer_errors, quantizable
from swin2sr_core.prepared.quantization import (
    GELU_MINIMUM,
    QuantizedLinear,
    dequantize_rows,
    quantize_rows,
    signal_to_noise,
)
from swin2sr_headless.cli.main import main


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 9), st.integers(1, 40), st.integers(-20, 20), st.integers(0, 99))
def test_quantising_rounds_to_half_a_step(rows, columns, exponent, seed):
    x = noise(rows, columns, seed=seed) * 2.0**exponent
    quantized, step = quantize_rows(x)
    assert quantized.dtype == torch.int8 and quantized.abs().max() == 127
    assert ((dequantize_rows(quantized, step) - x).abs() <= step * 0.5001).all()
    again, _ = quantize_rows(dequantize_rows(quantized, step))
    assert torch.equal(again, quantized)


def test_zeros_stay_zeros():
    quantized, step = quantize_rows(torch.zeros(3, 5))
    assert not quantized.any() and torch.isfinite(step).all()


@pytest.fixture(params=["onednn", "int_mm"])
def each_product(request, monkeypatch):
    """Both ways to multiply; the second is what GPUs do, and older releases of torch."""
    if request.param == "int_mm":
        monkeypatch.setattr(int8_products, "_onednn_multiplies_bytes", lambda: False)
    elif not int8_products._onednn_multiplies_bytes():
        pytest.skip("this torch does not reach oneDNN's products of bytes")


def by_hand(levels, step, weight, bias):
    """In float64, where sums of integers are exact."""
    columns, scales = quantize_rows(weight)
    return (levels.double().round() @ columns.double().t()) * step * scales.t() + bias


@pytest.mark.parametrize(("inputs", "outputs"), [(180, 540), (13, 7), (360, 180)])
def test_a_layer_is_the_product_of_what_was_quantised(each_product, inputs, outputs):
    weight, bias = noise(outputs, inputs), noise(outputs, seed=1)
    x = noise(64, inputs, seed=2) * torch.logspace(-3, 3, 64)[:, None]
    before = x.clone()
    layer = QuantizedLinear.of(weight, bias)
    step = x.abs().amax(1, keepdim=True) * (1 / 127)
    expected = by_hand(x * step.reciprocal(), step, weight, bias)
    assert torch.allclose(layer.quantized(x).double(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(x, before) and layer.features == outputs


def test_what_has_a_known_minimum_has_finer_levels_above(each_product):
    """None is out of their range; activations lose 3.5 dB less, so all, weights included, 1.7."""
    weight, bias = noise(24, 40), noise(24, seed=1)
    x = torch.nn.functional.gelu(noise(64, 40, seed=2) * torch.logspace(-2, 2, 64)[:, None])
    layer = QuantizedLinear.of(weight, bias, GELU_MINIMUM)
    step = (x.amax(1, keepdim=True) * (1 / 191)).clamp_min(0.17 / 64)
    levels = x * step.reciprocal()
    assert -64 <= float(levels.min()) < -50 and 190.9 < float(levels.max()) < 191.1
    expected = by_hand(levels, step, weight, bias)
    assert torch.allclose(layer.quantized(x).double(), expected, rtol=1e-5, atol=1e-5)
    large = x[x.amax(1) > 1]
    gained = signal_to_noise(large, weight, GELU_MINIMUM) - signal_to_noise(large, weight)
    assert 1.4 < gained < 2


def test_both_products_are_the_same(monkeypatch):
    if not int8_products._onednn_multiplies_bytes():
        pytest.skip("this torch does not reach oneDNN's products of bytes")
    weight, x = noise(23, 41), noise(64, 41, seed=1).relu()
    for lowest in (None, GELU_MINIMUM):
        packed = QuantizedLinear.of(weight, noise(23), lowest)
        plain = QuantizedLinear.of(weight, noise(23), lowest)
        plain.matrix.__dict__["_packed"] = None
        assert torch.allclose(packed.quantized(x), plain.quantized(x), rtol=1e-6, atol=1e-5)


def test_a_token_does_not_depend_on_its_neighbours():
    """To the bit: so *staged* and *tiled* cut where they like."""
    weight, bias, x = noise(24, 16), noise(24, seed=1), noise(128, 16, seed=2)
    layer = QuantizedLinear.of(weight, bias)
    assert torch.equal(layer.quantized(x)[64:], layer.quantized(x[64:]))


def test_without_int8_products_the_weight_alone_is_int8(monkeypatch):
    weight, bias, x = noise(24, 16), noise(24, seed=1), noise(64, 16, seed=2)
    layer = QuantizedLinear.of(weight, bias)
    monkeypatch.setattr(quantization, "has_int8_products", lambda device: False)
    expected = x @ dequantize_rows(*quantize_rows(weight)).t() + bias
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_int8_is_close_to_fp32_and_does_not_equal_it(make_config, make_network, make_image):
    network = make_network(make_config())
    state, image = network.state_dict(), make_image(3, 24, 20)
    cpu = torch.device("cpu")
    exact, int8 = (
        s2.upscale(s2.build_model("t", network.config, state, p, cpu), image, 2).image
        for p in ("fp32", "int8")
    )
    assert 1e-7 < float((exact - int8).square().mean()) < 1e-3


@pytest.fixture
def tiny(make_config, make_network, tmp_path):
    network = make_network(make_config(padding_mode="replicate"))
    file = tmp_path / "tiny.safetensors"
    save_checkpoint(file, dict(network.state_dict()), network.config.metadata)
    return network


def test_there_and_back_is_the_same_file(tiny, tmp_path):
    """From an int8 file on, nothing more is lost: quantising again gives the same int8."""
    original, first_file, plain, second_file = (
        str(tmp_path / f"{name}.safetensors") for name in ("tiny", "first", "plain", "second")
    )
    assert main(["quantize", original, "-o", first_file]) == 0
    assert main(["dequantize", first_file, "-o", plain]) == 0
    assert main(["quantize", plain, "-o", second_file]) == 0
    first, second = load_file(first_file), load_file(second_file)
    assert first.keys() == second.keys()
    int8 = [name for name, value in first.items() if value.dtype == torch.int8]
    assert len(int8) == len(quantizable(tiny))
    assert all(torch.equal(first[name], second[name]) for name in int8)
    assert {v.dtype for v in first.values()} == {torch.int8, torch.float16, torch.float32}
    config, state = load_checkpoint(first_file)
    assert config == load_checkpoint(plain)[0] == tiny.config
    assert all(value.dtype == torch.float32 for value in state.values())
    for name, value in tiny.state_dict().items():
        assert (state[name] - value).abs().max() <= value.abs().max() / 127


def test_the_file_and_quantising_at_load_agree(tiny, tmp_path, make_image):
    path, file = tmp_path / "tiny.safetensors", tmp_path / "int8.safetensors"
    assert main(["quantize", str(path), "-o", str(file)]) == 0
    image = make_image(3, 16, 24)
    a, b = (s2.upscale(s2.load_model(each, "int8"), image, 2).image for each in (path, file))
    assert float((a - b).square().mean()) < 1e-4


def test_the_report_names_every_layer(tiny, tmp_path, capsys):
    arguments = [str(tmp_path / "tiny.safetensors"), "-o", str(tmp_path / "int8.safetensors")]
    assert main(["quantize", *arguments, "--report"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in layer_errors(tiny)) and "worst" in shown
    assert main(["quantize", *arguments, "--json"]) == 2
    assert "exists already" in json.loads(capsys.readouterr().out)["error"]
    assert main(["quantize", *arguments, "--json", "--overwrite"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["int8_layers"] == 16 and len(document["layers"]) == 20
    assert document["bytes"] < document["fp32_bytes"]


def test_what_is_no_int8_file_cannot_be_dequantised(tiny, tmp_path, capsys):
    path = str(tmp_path / "tiny.safetensors")
    assert main(["dequantize", path, "-o", str(tmp_path / "b.safetensors")]) == 2
    assert "is no int8 file" in capsys.readouterr().err
    assert main(["quantize", path, "-o", str(tmp_path / "b.pth")]) == 2
    assert "must end in .safetensors" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metadata", "spoil", "sentence"),
    [
        ({"format_version": "2"}, lambda t: t, "version 2, and only version 1"),
        ({}, lambda t: {k: v for k, v in t.items() if "fc1.weight.step" not in k}, "one scale"),
    ],
)
def test_a_spoilt_int8_file_is_told(tiny, tmp_path, metadata, spoil, sentence):
    tensors = spoil(compressed(tiny.state_dict(), quantizable(tiny)))
    save_file(tensors, tmp_path / "bad.safetensors", METADATA | metadata)
    with pytest.raises(s2.CheckpointError, match=sentence):
        load_checkpoint(tmp_path / "bad.safetensors")


def test_what_fp16_cannot_hold_is_kept_in_fp32(tiny):
    state = dict(tiny.state_dict()) | {"norm.bias": torch.full((12,), 1e5)}
    tensors = compressed(state, quantizable(tiny))
    assert tensors["norm.bias"].dtype == torch.float32
    assert torch.equal(expanded(tensors, "x")["norm.bias"], state["norm.bias"])


@pytest.mark.parametrize("lowest", [None, GELU_MINIMUM])
def test_a_token_of_zeros_is_the_bias(each_product, lowest):
    layer = QuantizedLinear.of(noise(7, 9), noise(7, seed=1), lowest)
    assert torch.equal(layer.quantized(torch.zeros(4, 9)), layer.bias.expand(4, -1))
