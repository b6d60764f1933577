"""The choice of a kernel: made once, told, turned off, and taken back where a kernel is no good."""

import math
import re
from types import SimpleNamespace

import pytest
import torch

import swin2sr_core as s2
from swin2sr_core.errors import InputError
from swin2sr_core.kernels import choice, library, setting
from swin2sr_core.kernels.choice import chosen
from swin2sr_core.kernels.trial import Verdict, blocks_of
from swin2sr_core.machine.devices import DTYPES
from swin2sr_core.prepared import precision as precision_module
from swin2sr_core.prepared.precision import prepare
from swin2sr_core.prepared.quantization import dequantize_rows, quantize_rows
from swin2sr_headless.cli.main import main

CPU = torch.device("cpu")


@pytest.fixture
def automatic(native, monkeypatch):
    """As on a computer where the library has been built."""
    monkeypatch.setenv(setting.VARIABLE, "auto")
    monkeypatch.setattr(library, "loaded", lambda: SimpleNamespace(kernels=(native,)))
    monkeypatch.setattr(choice, "_SLOWER", math.inf)  # whatever else this computer does
    return native


@pytest.fixture
def model(native, make_config, make_network, make_model):
    return make_model(make_network(make_config()), native.precision)


def test_the_fused_kernel_is_chosen_once_and_named(automatic, model, make_image, monkeypatch):
    image = make_image(3, 24, 16)
    report = s2.upscale(model, image, 2).report
    assert (report.kernel, report.fallbacks) == (automatic.name, ())
    assert report.to_dict()["kernel"] == automatic.name
    first = chosen(model.network)
    monkeypatch.setattr(choice, "_choose", None)
    assert chosen(model.network) is first


def test_it_is_chosen_again_when_the_network_has_moved(automatic, model):
    first = chosen(model.network)
    model.network.to("meta")
    assert chosen(model.network).name == "reference"
    assert chosen(model.network) is not first


@pytest.mark.parametrize("strategy", ["whole", "staged", "tiled"])
def test_every_strategy_gives_the_references_picture(
    automatic, make_config, make_network, make_model, make_image, monkeypatch, strategy
):
    """In fp32; in bf16, where orders of rounding differ, one as near to that of fp32."""
    network = make_network(make_config())
    model = make_model(network, automatic.precision)
    image = make_image(3, 60, 44)
    plan = s2.make_plan(model, 60, 44, 2, strategy=strategy)
    fused = s2.upscale(model, image, plan=plan)
    monkeypatch.setenv(setting.VARIABLE, "reference")
    expected = s2.upscale(model, image, plan=plan)
    assert (fused.report.kernel, expected.report.kernel) == (automatic.name, "reference")
    if automatic.precision == "fp32":
        assert (fused.image - expected.image).abs().max() <= 1e-5
    else:
        wide = make_model(network, "fp32")
        exact = s2.upscale(wide, image, plan=s2.make_plan(wide, 60, 44, 2, strategy=strategy)).image
        assert (fused.image - exact).norm() <= (expected.image - exact).norm()


@pytest.mark.parametrize("strategy", ["whole", "staged", "tiled"])
def test_a_callers_autocast_changes_no_type(automatic, model, make_image, strategy):
    """Other people's nodes call within one; kernels would read maps as what they are not."""
    image = make_image(3, 60, 44)
    plan = s2.make_plan(model, 60, 44, 2, strategy=strategy)
    expected = s2.upscale(model, image, plan=plan)
    for other in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", other):
            found = s2.upscale(model, image, plan=plan)
        assert found.report.kernel == automatic.name
        assert torch.equal(found.image, expected.image)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_other_precisions_are_left_to_the_reference(
    automatic, make_config, make_network, monkeypatch, precision
):
    monkeypatch.setattr(precision_module, "has_native_bf16", lambda device: False)
    made = chosen(prepare(make_network(make_config()), precision, CPU))
    assert made.name == "reference" and made.reason and not made.fault


def test_int8_is_a_file_format_where_bf16_is_native(
    automatic, make_config, make_network, monkeypatch
):
    """It computes in bf16 then, so by the same kernel, with the weights of the int8 file."""
    network = make_network(make_config())
    monkeypatch.setattr(precision_module, "has_native_bf16", lambda device: True)
    made = prepare(network, "int8", CPU)
    assert made.dtype == torch.bfloat16
    weight = made.stages[0].blocks[1].fc1.get_parameter("weight")
    original = network.layers[0].residual_group.blocks[1].mlp.fc1.get_parameter("weight")
    assert not torch.equal(weight, original.bfloat16())
    assert torch.equal(weight, dequantize_rows(*quantize_rows(original)).bfloat16())
    named = automatic.name if automatic.precision == "bf16" else "reference"
    assert chosen(made).name == named


def wrong(self, block, kind, source, target, band):
    target.copy_(source)


def not_a_number(self, block, kind, source, target, band):
    target.fill_(math.nan)


def failing(self, block, kind, source, target, band):
    raise RuntimeError("nothing works")


@pytest.mark.parametrize(
    ("run", "said"),
    [(wrong, "is wrong"), (not_a_number, "is wrong"), (failing, "fails .*nothing works")],
)
def test_a_kernel_that_is_no_good_is_told_once(
    automatic, model, make_image, monkeypatch, caplog, run, said
):
    monkeypatch.setattr(choice.FusedKernel, "run", run)
    image = make_image(3, 24, 16)
    for _ in range(2):
        report = s2.upscale(model, image, 2).report
        assert report.kernel == "reference"
        (note,) = report.fallbacks
        assert automatic.name in note and "PyTorch" in note
    assert re.search(said, note)
    assert len([each for each in caplog.records if each.levelname == "WARNING"]) == 1


def test_hot_heads_are_not_taken_for_a_wrong_kernel(
    automatic, make_config, make_network, make_model
):
    """In bf16 the reference itself is off by more there than one number could allow everywhere."""
    network = make_network(make_config(embed_dim=60, num_heads=(6, 6)))
    for name, parameter in network.named_parameters():
        if name.endswith("logit_scale"):
            parameter.fill_(math.log(100.0))
    assert chosen(make_model(network, automatic.precision).network).name == automatic.name


def test_a_slow_kernel_is_not_used(automatic, model, monkeypatch):
    monkeypatch.setattr(choice, "_SLOWER", 0.0)
    assert "as long as PyTorch" in chosen(model.network).fault


def test_the_next_kernel_is_tried_before_the_reference(built, model, monkeypatch, caplog):
    """Where the fastest of a precision is no good on this computer."""
    precision = model.network.dtype
    kernels = [k for k in built.kernels if DTYPES[k.precision] == precision]
    if len(kernels) < 2:
        pytest.skip("this CPU has only one kernel in this precision")
    monkeypatch.setenv(setting.VARIABLE, "auto")
    monkeypatch.setattr(library, "loaded", lambda: SimpleNamespace(kernels=tuple(kernels)))
    monkeypatch.setattr(choice, "_SLOWER", math.inf)
    judge = choice.judge

    def harsh(network, contender):
        return Verdict("fails") if contender.name == kernels[0].name else judge(network, contender)

    monkeypatch.setattr(choice, "judge", harsh)
    made = chosen(model.network)
    assert made.name == kernels[1].name
    assert made.fault == f"the kernel {kernels[0].name} fails; {kernels[1].name} is used instead"
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
        made.fault
    ]


def test_memory_that_has_run_out_is_no_fault_of_the_kernel(automatic, model, monkeypatch):
    """The reference goes on, and the next run tries again."""

    def run(self, *arguments):
        raise MemoryError("there is no memory for a window of the fused kernel")

    with monkeypatch.context() as patch:
        patch.setattr(choice.FusedKernel, "run", run)
        made = chosen(model.network)
        assert (made.name, made.fault) == ("reference", "") and "memory" in made.reason
        assert not any(block.derived for block in blocks_of(model.network))
    assert chosen(model.network).name == automatic.name


def test_without_a_library_the_reference_says_how_to_get_one(model, monkeypatch):
    monkeypatch.setenv(setting.VARIABLE, "auto")
    monkeypatch.setattr(library, "loaded", lambda: None)
    made = chosen(model.network)
    assert made.name == "reference" and not made.fault
    assert library.BUILD_COMMAND in made.reason


def test_a_slip_in_the_variable_is_told(model, make_image, monkeypatch):
    monkeypatch.setenv(setting.VARIABLE, "fast")
    with pytest.raises(InputError, match="auto, reference, got 'fast'"):
        s2.upscale(model, make_image(3, 8, 8), 2)


@pytest.mark.parametrize("asked", ["auto", "reference"])
def test_the_plan_names_it(automatic, monkeypatch, capsys, asked):
    monkeypatch.setenv(setting.VARIABLE, "auto")  # so that it is put back
    arguments = ["plan", "64x64", "--device=cpu", f"--kernels={asked}"]
    arguments.append(f"--precision={automatic.precision}")
    assert main([*arguments, "--json"]) == 0
    name = automatic.name if asked == "auto" else "reference"
    assert f'"kernel": "{name}"' in capsys.readouterr().out
