"""Files that are read: ours pass, and what is not ours is refused before any runtime sees it."""

import hashlib
import os

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from swin2sr_core.errors import CheckpointError, ModelNotFoundError, Swin2SRError
from swin2sr_core.export.contract import Contract
from swin2sr_core.export.onnx_file import read_contract, read_onnx
from swin2sr_core.export.writing import onnx_bytes


@pytest.fixture(scope="module")
def exported(make_config, make_network):
    """(bytes, contract) of a tiny network."""
    network = make_network(make_config(depths=(2,), num_heads=(2,)))
    contract = Contract.of(
        network.config, model="tiny", precision="fp32", licence="MIT", weights_sha256="0" * 64
    )
    return onnx_bytes(network, contract)


@pytest.fixture
def changed(exported, tmp_path):
    """(change) -> a file with the model as `change(model)` leaves it, its hash made right again."""

    def make(change, right_hash=True):
        model = onnx.load_from_string(exported[0])
        change(model)
        if right_hash:
            graph = model.graph.SerializeToString(deterministic=True)
            for prop in model.metadata_props:
                if prop.key == "swin2sr.graph_sha256":
                    prop.value = hashlib.sha256(graph).hexdigest()
        path = tmp_path / "changed.onnx"
        path.write_bytes(model.SerializeToString(deterministic=True))
        return path

    return make


def test_what_was_written_is_read(exported, tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(exported[0])
    assert read_contract(path) == exported[1]
    assert read_onnx(path).content == exported[0]


def test_only_the_graph_has_to_be_as_it_was(changed, exported):
    def notes(model):
        model.doc_string = "a note"
        helper.set_model_props(model, {**exported[1].to_metadata(), "author": "me"})

    assert read_onnx(changed(notes, right_hash=False)).contract == exported[1]


def test_a_changed_weight_is_noticed(changed):
    def flip(model):
        raw = bytearray(model.graph.initializer[3].raw_data)
        raw[0] ^= 1
        model.graph.initializer[3].raw_data = bytes(raw)

    with pytest.raises(CheckpointError, match=r"not as it was exported.*sha256"):
        read_onnx(changed(flip, right_hash=False))


def external(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def custom(model):
    model.graph.node[0].domain = "com.example"


def looping(model):
    model.graph.node.append(helper.make_node("Loop", ["a", "b"], ["c"], body=model.graph))


def hidden(model):
    inner = helper.make_tensor("x", 1, [1], b"\0\0\0\0", raw=True)
    inner.external_data.add(key="location", value="/dev/zero")
    node = next(n for n in model.graph.node if n.op_type == "ConstantOfShape")
    node.attribute[0].t.CopyFrom(inner)


def huge(model):
    model.graph.initializer[0].dims[:] = [1 << 40, 1 << 40]


def functions(model):
    model.functions.append(
        helper.make_function("d", "f", ["a"], ["b"], [], [helper.make_opsetid("", 17)])
    )


def unknown(model):
    model.graph.node[0].op_type = "RandomNormal"


def emptied(model):
    del model.graph.node[:]


HOSTILE = {
    external: "other files",
    hidden: "other files",
    custom: "operator",
    unknown: "RandomNormal",
    looping: "within the graph",
    huge: "bytes of its shape",
    functions: "functions",
    emptied: "0 nodes",
}


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
def test_what_no_exported_network_has_is_refused(changed, change):
    with pytest.raises(CheckpointError, match=HOSTILE[change]):
        read_onnx(changed(change))


def test_without_a_contract_it_is_said_what_to_do(changed):
    path = changed(lambda model: model.ClearField("metadata_props"), right_hash=False)
    for read in (read_contract, read_onnx):
        with pytest.raises(CheckpointError, match=r"no contract of ours.*swin2sr export"):
            read(path)


def test_no_file_an_empty_one_and_a_pipe(tmp_path):
    with pytest.raises(ModelNotFoundError):
        read_contract(tmp_path / "none.onnx")
    empty = tmp_path / "empty.onnx"
    empty.touch()
    with pytest.raises(CheckpointError, match="0 bytes"):
        read_contract(empty)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.onnx")
        with pytest.raises(CheckpointError, match="no regular file"):
            read_contract(tmp_path / "pipe.onnx")


@given(data=st.data())
@settings(max_examples=150)
def test_damage_gets_a_sentence_and_nothing_else(exported, tmp_path_factory, data):
    """Cut off anywhere, or with bytes of the head, where the structure is, replaced."""
    content = bytearray(exported[0])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content[:cut])
    try:
        read_onnx(path)
    except Swin2SRError as error:
        assert "\n" not in str(error)
    else:
        assert len(content) == cut
