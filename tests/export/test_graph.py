"""The exported graph computes what the network computes, at any size, in operators others have."""

import math

import numpy as np
import onnx
import pytest
import torch

from swin2sr_core.export.contract import Contract
from swin2sr_core.export.onnx_file import OPERATORS
from swin2sr_core.export.session import OnnxSession
from swin2sr_core.export.writing import onnx_bytes
from swin2sr_core.models.header import _PUBLISHED
from swin2sr_core.network.network import Swin2SR
from swin2sr_core.prepared.precision import blocks_of

WINDOWS = ((1, 1), (1, 2), (3, 1), (2, 2), (2, 5), (4, 3), (1, 7), (6, 6))
"""Rows and columns of windows: one alone has all four masks in it, and none may be forgotten."""


def contract_of(network, precision="fp32", size=None) -> Contract:
    return Contract.of(
        network.config,
        model="tiny",
        precision=precision,
        licence="none",
        weights_sha256="0" * 64,
        size=size,
    )


def session_of(network, precision="fp32", size=None) -> OnnxSession:
    content, contract = onnx_bytes(network, contract_of(network, precision, size), size)
    return OnnxSession(content, contract, "cpu")


def decibels(a, b) -> float:
    return -10 * math.log10(float((a - b).double().square().mean()))


def assert_same(session, network, image) -> None:
    out, expected = session.run(image), network(image)
    assert out.shape == expected.shape
    assert (out - expected).abs().max() <= 1e-5 * max(1, float(expected.abs().max()))


@pytest.mark.parametrize("batch", [1, 3])
def test_it_computes_the_same_at_every_size(make_config, make_network, make_image, batch):
    network = make_network(make_config())
    session = session_of(network)
    for rows, columns in WINDOWS:
        assert_same(session, network, make_image(3, rows * 8, columns * 8, batch))


def test_every_head_computes_the_same(tiny_config, make_network, make_image):
    network, window = make_network(tiny_config), tiny_config.window
    session = session_of(network)
    for batch, rows, columns in ((1, 1, 1), (1, 3, 2), (3, 1, 2)):
        image = make_image(tiny_config.in_channels, rows * window, columns * window, batch)
        assert_same(session, network, image)


def test_a_fixed_size_computes_the_same(make_config, make_network, make_image):
    network = make_network(make_config())
    image = make_image(3, 16, 40)
    assert (session_of(network, size=(16, 40)).run(image) - network(image)).abs().max() <= 1e-5


@pytest.mark.parametrize(("branch", "growth"), [(0, 0), (12, 0), (20, 4), (12, 9), (-14, -6)])
def test_fp16_is_finite_and_near_whatever_the_branches_are_scaled_by(
    overflowing, make_image, branch, growth
):
    network = overflowing(branch, growth)
    image = make_image(3, 24, 16)
    assert decibels(session_of(network, "fp16").run(image), network(image)) >= 50


def test_fp16_holds_where_hidden_values_are_huge(make_config, make_network, make_image):
    network = make_network(make_config())
    for _, block in blocks_of(network):
        block.mlp.fc1.weight.mul_(2.0**28)
        block.mlp.fc1.weight[0], block.mlp.fc1.bias[0] = 0, 0  # no infinity may meet a zero
    image = make_image(3, 16, 16)
    assert decibels(session_of(network, "fp16").run(image), network(image)) >= 50


def test_a_head_in_fp16_is_near_too(tiny_config, make_network, make_image):
    network = make_network(tiny_config)
    image = make_image(tiny_config.in_channels, 2 * tiny_config.window, 3 * tiny_config.window)
    assert decibels(session_of(network, "fp16").run(image), network(image)) >= 50


@pytest.mark.parametrize("name", ["lightweight-x2", "compressed-x4"])
def test_a_published_network_is_no_larger_than_its_weights(name):
    """Of random weights: nodes and bytes are the config's alone."""
    network = Swin2SR(_PUBLISHED[name]).eval().requires_grad_(False)
    content, _ = onnx_bytes(network, contract_of(network))
    weights = 4 * sum(parameter.numel() for parameter in network.parameters())
    assert len(content) < 1.1 * weights


def test_the_bundled_model_has_few_nodes_and_sane_names(bundled):
    content, contract = onnx_bytes(bundled, contract_of(bundled))
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert len(model.graph.node) < 700
    shape = model.graph.output[0].type.tensor_type.shape.dim
    assert [side.dim_param or side.dim_value for side in shape] == [
        "batch",
        3,
        "height_x4",
        "width_x4",
    ]
    assert {prop.key for prop in model.metadata_props} == set(contract.to_metadata())


def test_the_bundled_model_computes_the_same(bundled, make_image):
    session = session_of(bundled)
    for image in (make_image(3, 64, 40), make_image(3, 8, 16, batch=3)):
        assert (session.run(image) - bundled(image)).abs().max() <= 1e-5


def test_values_have_at_most_four_axes(make_config, make_network):
    """Some runtimes take no more; shape inference at a fixed size knows them all."""
    network = make_network(make_config())
    content, _ = onnx_bytes(network, contract_of(network), (16, 24))
    inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(content), data_prop=True)
    ranks = [len(value.type.tensor_type.shape.dim) for value in inferred.graph.value_info]
    assert len(ranks) > 50 and max(ranks) <= 4


# Facts, of the operators used here: onnx-tensorrt 10.0, docs/operators.md (all with "Y", in FP32
# and FP16), and onnxruntime at 001d12d2, docs/OperatorKernels.md, "Operators implemented by
# DmlExecutionProvider" (for float and float16). Both know opset 17.
LISTED_BY_BOTH = """
    Add Cast Concat ConstantOfShape Conv DepthToSpace Div Erf Expand Gather Gemm LayerNormalization
    LeakyRelu MatMul Max Min Mul Pad ReduceL2 Reshape Resize Shape Slice Softmax Split Sub Transpose
"""
TENSORRT_RESIZE = {"nearest", "linear"}  # and asymmetric with floor, among others


def test_every_operator_is_one_that_tensorrt_and_directml_have(tiny_config, make_network):
    network = make_network(tiny_config)
    used: set[str] = set()
    for precision in ("fp32", "fp16"):
        content, _ = onnx_bytes(network, contract_of(network, precision))
        for node in onnx.load_from_string(content).graph.node:
            used.add(node.op_type)
            modes = {a.s.decode() for a in node.attribute if a.name == "mode"}
            assert node.op_type != "Resize" or modes <= TENSORRT_RESIZE
    assert used <= OPERATORS <= set(LISTED_BY_BOTH.split())


def test_the_network_is_left_as_it_was(make_config, make_network):
    network = make_network(make_config())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for precision in ("fp32", "fp16"):
        onnx_bytes(network, contract_of(network, precision))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_weights_are_stored_once_and_in_the_graphs_type(make_config, make_network):
    network = make_network(make_config())
    for precision, dtype in (("fp32", np.float32), ("fp16", np.float16)):
        content, _ = onnx_bytes(network, contract_of(network, precision))
        tensors = onnx.load_from_string(content).graph.initializer
        qkv = next(t for t in tensors if t.name.endswith("attn.qkv.weight"))
        assert onnx.numpy_helper.to_array(qkv).dtype == dtype
        assert len({tensor.name for tensor in tensors}) == len(tensors)
