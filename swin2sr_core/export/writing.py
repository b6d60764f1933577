"""A network as the bytes of a file: ONNX, with its contract inside."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from ..errors import InputError
from ..network.network import Swin2SR
from .contract import PRECISIONS, Contract
from .extra import needed
from .graph import OPSET, build_graph

_IR_VERSION = 8
"""Of ONNX 1.10 to 1.13: what runtimes of that time read, as those of today."""


def onnx_bytes(
    network: Swin2SR, contract: Contract, size: tuple[int, int] | None = None
) -> tuple[bytes, Contract]:
    """The ONNX file of `network`, and the contract with what is only known now.

    Raises InputError for a size that is not on the window grid, DeviceError without onnx.
    """
    check_size(size, network.config.window)
    if contract.precision not in PRECISIONS:
        raise InputError(f"an ONNX file is {' or '.join(PRECISIONS)}, got {contract.precision}")
    onnx = needed("onnx")
    graph = build_graph(network, contract.precision, size)
    serialized = graph.SerializeToString(deterministic=True)
    contract = replace(contract, graph_sha256=hashlib.sha256(serialized).hexdigest(), opset=OPSET)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(
        graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="swin2sr"
    )
    onnx.helper.set_model_props(model, contract.to_metadata())
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True), contract


def check_size(size: tuple[int, int] | None, window: int) -> None:
    """Raises InputError unless height and width are multiples of the window."""
    for side in size or ():
        if side < window or side % window:
            raise InputError(
                f"--size must be of multiples of the window ({window}), got {side}; use "
                f"{max(1, side // window) * window} or {(side // window + 1) * window}"
            )
