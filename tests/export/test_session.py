"""Exported files under our tiles: what torch's tiles give, planned and reported alike."""

import hashlib
import sys

import onnx
import pytest
import torch

import swin2sr_core as s2
from swin2sr_core.errors import CheckpointError, DeviceError, InputError
from swin2sr_core.export.contract import Contract
from swin2sr_core.export.session import available_providers
from swin2sr_core.export.writing import onnx_bytes
from swin2sr_core.models.header import read_config
from swin2sr_core.models.model import build_model


@pytest.fixture
def exported(make_config, make_network, tmp_path):
    """(precision, size, **changes) -> a tiny network, and its exported file."""

    def make(precision="fp32", size=None, **changes):
        network = make_network(make_config(**changes))
        contract = Contract.of(
            network.config,
            model="tiny",
            precision=precision,
            licence="MIT",
            weights_sha256="0" * 64,
            size=size,
        )
        path = tmp_path / f"tiny_{precision}.onnx"
        path.write_bytes(onnx_bytes(network, contract, size)[0])
        return network, path

    return make


def in_torch(network, precision="fp32"):
    return build_model("tiny", network.config, network.state_dict(), precision, torch.device("cpu"))


@pytest.mark.parametrize(("height", "width", "tile"), [(75, 61, 48), (40, 100, 64), (7, 9, 0)])
def test_it_gives_what_tiles_of_torch_give(exported, make_image, height, width, tile):
    network, path = exported()
    model, image = s2.load_model(path), make_image(3, height, width)
    expected = s2.make_plan(
        in_torch(network), height, width, strategy="tiled", tile=tile, overlap=16
    )
    plan = s2.make_plan(model, height, width, tile=tile, overlap=16)
    if tile:
        assert plan.passes[-1].pieces == expected.passes[-1].pieces
    result = s2.upscale(model, image, plan=plan)
    reference = s2.upscale(in_torch(network), image, plan=expected)
    assert (result.image - reference.image).abs().max() <= 1e-5


def test_one_tile_is_the_whole_network(exported, make_image):
    network, path = exported()
    image = make_image(3, 40, 30)
    result = s2.upscale(s2.load_model(path), image, 2)
    assert (result.image - network(image).clamp(0, 1)).abs().max() <= 1e-5
    assert result.report.plan.notes == ()


def test_it_is_reported_as_what_it_is(exported, make_image):
    _, path = exported("fp16")
    model = s2.load_model(path)
    steps: list[tuple[int, int]] = []
    plan = s2.make_plan(model, 60, 70, tile=48, overlap=16)
    report = s2.upscale(
        model, make_image(3, 60, 70), plan=plan, progress=lambda *step: steps.append(step)
    ).report
    assert (report.strategy, report.precision, report.device) == ("tiled", "fp16", "cpu")
    assert report.kernel == "onnxruntime cpu" and report.model == "tiny_fp16"
    assert any("not exactly" in note for note in report.plan.notes)
    assert steps[-1][0] == steps[-1][1] and len(steps) >= 4
    assert read_config(path) == model.config


def test_it_stops_between_tiles_and_steps_down_like_ours(exported, make_image):
    _, path = exported()
    model = s2.load_model(path)
    plan = s2.make_plan(model, 90, 90, tile=48, overlap=16)
    with pytest.raises(s2.Interrupted):
        s2.upscale(model, make_image(3, 90, 90), plan=plan, should_stop=lambda: True)
    large = s2.make_plan(model, 600, 600, 2)
    small = s2.make_plan(model, 600, 600, 2, budget_bytes=large.forecast_bytes // 2)
    assert small.strategy == "tiled" and small.forecast_bytes <= large.forecast_bytes // 2


@pytest.mark.parametrize("strategy", ["whole", "staged"])
def test_what_is_exact_is_refused(exported, strategy):
    with pytest.raises(InputError, match=r"tiles alone.*--strategy tiled"):
        s2.make_plan(s2.load_model(exported()[1]), 64, 64, strategy=strategy)


def test_what_a_file_is_not_is_said(exported):
    _, path = exported()
    with pytest.raises(InputError, match=r"exported in fp32, and bf16 is asked for"):
        s2.load_model(path, "bf16")
    with pytest.raises(DeviceError, match="--provider"):
        s2.load_model(path, device="cuda")
    with pytest.raises(DeviceError, match=rf"only {', '.join(available_providers())};"):
        s2.load_model(path, provider="directml" if sys.platform != "win32" else "coreml")
    with pytest.raises(InputError, match=r"16x24 pixels alone"):
        s2.load_model(exported(size=(16, 24))[1])
    with pytest.raises(InputError, match=r"--provider is for exported"):
        s2.load_model("compact-x4", provider="cpu")


def test_without_onnxruntime_it_is_said_what_to_install(exported, monkeypatch):
    _, path = exported()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceError, match=r"pip install onnxruntime"):
        s2.load_model(path)


def test_a_file_that_the_runtime_refuses_gets_a_sentence(exported):
    """Its operators are ours, its hash is right: but nothing leads to the output."""
    _, path = exported()
    model = onnx.load(path)
    del model.graph.node[-1]
    graph = model.graph.SerializeToString(deterministic=True)
    for prop in model.metadata_props:
        if prop.key == "swin2sr.graph_sha256":
            prop.value = hashlib.sha256(graph).hexdigest()
    path.write_bytes(model.SerializeToString(deterministic=True))
    with pytest.raises(CheckpointError, match="onnxruntime cannot load"):
        s2.load_model(path)
