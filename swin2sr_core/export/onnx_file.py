"""Reads what an ONNX file says of itself, and checks what is in it, before any runtime sees it.

Needs no library: protobuf's wire format is five rules, and of ONNX a few fields count here. A file
of ours holds one graph of the operators below and all its weights. One with data in other files,
graphs within graphs, functions or operators of somebody's own is refused: a runtime would open
paths for it, or run what nobody has looked at.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import CheckpointError, ModelNotFoundError
from .contract import Contract, contract_from

SUFFIX = ".onnx"

_OPERATORS = """
    Add Cast Concat ConstantOfShape Conv DepthToSpace Div Erf Expand Gather Gemm LayerNormalization
    LeakyRelu MatMul Max Min Mul Pad ReduceL2 Reshape Resize Shape Slice Softmax Split Sub Transpose
"""
OPERATORS = frozenset(_OPERATORS.split())
"""What exported graphs are made of."""

_MOST_BYTES = 512 << 20
"""Ten times the largest published network in float32."""

_MOST_NODES = 100_000
_MOST_METADATA = 1 << 16

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ITEM_BYTES = {1: 4, 3: 1, 6: 4, 7: 8, 10: 2}
"""Of the types of TensorProto that our files have: float32, int8, int32, int64, float16."""


class _Damaged(Exception):
    """The bytes are no protobuf, or not what ONNX would have there."""


@dataclass(frozen=True)
class OnnxFile:
    """A file that has passed: its contract, and its bytes for the runtime."""

    contract: Contract
    content: bytes


def read_contract(path: Path) -> Contract:
    """The contract alone; the graph is passed over. Raises what `read_onnx` raises for it."""
    with _opened(path) as data:
        return contract_from(_metadata(data))


def read_onnx(path: Path) -> OnnxFile:
    """All of a file, checked.

    Raises CheckpointError for what is no file of ours, damaged, changed, or holds more than a
    network; ModelNotFoundError where there is none.
    """
    with _opened(path) as data:
        contract = contract_from(_metadata(data))
        graph = _graph(data)
        if hashlib.sha256(graph).hexdigest() != contract.graph_sha256:
            raise CheckpointError.saying(
                "onnx_changed",
                "{name} is not as it was exported: its graph has another sha256 than its "
                "contract says; copy it again, or export it again",
                name=path.name,
            )
        _check_graph(graph)
        return OnnxFile(contract, bytes(data))


@contextmanager
def _opened(path: Path) -> Iterator[memoryview]:
    """The file's bytes; errors in them get a sentence with its name."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, ValueError) as error:
        raise ModelNotFoundError.saying(
            "model_gone", "no such file: {name}", name=path.name
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CheckpointError.saying(
                "model_irregular", "{name} is no regular file; a model is one", name=path.name
            )
        if not 0 < found.st_size <= _MOST_BYTES:
            raise CheckpointError.saying(
                "onnx_bytes",
                "{name} has {size:,} bytes; an exported network has some, and at most {most:,}",
                name=path.name,
                size=found.st_size,
                most=_MOST_BYTES,
            )
        try:
            yield memoryview(file.read())
        except _Damaged as error:
            raise CheckpointError.saying(
                "onnx_broken",
                "{name} is no whole ONNX file of `swin2sr export` ({error}); copy or export it "
                "again",
                name=path.name,
                error=error,
            ) from error


# -- what counts of ONNX's messages ----------------------------------------------------------------


def _metadata(model: memoryview) -> dict[str, str]:
    entries: dict[str, str] = {}
    for number, value in _message(model):
        if number == 14:
            if len(_bytes(value)) > _MOST_METADATA or len(entries) > 1000:
                raise _Damaged("its metadata is too long")
            entry = dict(_message(_bytes(value)))
            entries[_text(entry.get(1, b""))] = _text(entry.get(2, b""))
    return entries


def _graph(model: memoryview) -> memoryview:
    graphs = []
    for number, value in _message(model):
        if number == 7:
            graphs.append(_bytes(value))
        elif number in (20, 25):
            raise _Damaged("it has functions or training of its own")
    if len(graphs) != 1:
        raise _Damaged("it has no graph, or several")
    return graphs[0]


def _check_graph(graph: memoryview) -> None:
    nodes = 0
    for number, value in _message(graph):
        if number == 1:
            nodes += 1
            _check_node(_bytes(value))
        elif number == 5:
            _check_tensor(_bytes(value))
        elif number == 15:
            raise _Damaged("it has sparse weights")
    if not 0 < nodes <= _MOST_NODES:
        raise _Damaged(f"it has {nodes:,} nodes")


def _check_node(node: memoryview) -> None:
    operator = domain = ""
    for number, value in _message(node):
        if number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            for inner, attribute in _message(_bytes(value)):
                if inner in (6, 11, 22, 23):
                    raise _Damaged("it has graphs within the graph, or sparse weights")
                if inner in (5, 10):
                    _check_tensor(_bytes(attribute))
    if domain not in ("", "ai.onnx") or operator not in OPERATORS:
        raise _Damaged(f"it has the operator {operator[:40]!a}, which no exported network has")


def _check_tensor(tensor: memoryview) -> None:
    sides: list[int] = []
    kind = raw = 0
    for number, value in _message(tensor):
        if number == 1:
            sides += [value] if isinstance(value, int) else list(_varints(value))
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 9:
            raw = len(_bytes(value))
        elif number in (13, 14) and value != 0:
            raise _Damaged("its weights lie in other files")
    if len(sides) > 8 or kind not in _ITEM_BYTES or math.prod(sides) * _ITEM_BYTES[kind] != raw:
        raise _Damaged("a weight has not the bytes of its shape")


# -- the wire format -------------------------------------------------------------------------------


def _message(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field's number, value) pairs of one message; a value is a number or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise _Damaged("it is no protobuf")
        if at + size > len(data):
            raise _Damaged("it ends too early")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise _Damaged("it ends too early")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise _Damaged("it is no protobuf")


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _Damaged("it is no ONNX")
    return value


def _text(value: int | memoryview | bytes) -> str:
    try:
        return bytes(_bytes(value)).decode() if not isinstance(value, bytes) else value.decode()
    except UnicodeDecodeError as error:
        raise _Damaged("it has names that are no text") from error
