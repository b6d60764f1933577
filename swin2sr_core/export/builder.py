"""Writes an ONNX graph node by node: names, constants, and the shapes that depend on the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .extra import needed

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto
    from torch import Tensor

Array = NDArray[Any] | np.generic


class GraphBuilder:
    """Nodes and initializers in the order they are needed; every value goes by its name.

    Floating-point constants are stored in `dtype` unless they say otherwise. Equal constants of the
    same name are stored once.
    """

    def __init__(self, dtype: type[np.floating[Any]]) -> None:
        self.dtype = dtype
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self._onnx = needed("onnx")
        self._counts: dict[str, int] = {}
        self._scope: list[str] = []

    def inside(self, name: str) -> _Scope:
        """A part of the network: what is added within the block has its name in front."""
        return _Scope(self._scope, name)

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        """A node of one output, whose name is returned."""
        return self.add_many(operator, inputs, 1, **attributes)[0]

    def add_many(
        self, operator: str, inputs: Sequence[str], outputs: int, **attributes: object
    ) -> list[str]:
        """A node of so many outputs, whose names are returned."""
        name = self._fresh(operator)
        names = [name] if outputs == 1 else [f"{name}.{index}" for index in range(outputs)]
        make = self._onnx.helper.make_node
        self.nodes.append(make(operator, list(inputs), names, name=name, **attributes))
        return names

    def constant(self, name: str, value: Array | Sequence[float] | float) -> str:
        """An initializer: whole numbers as int64, others in the graph's type."""
        array = np.asarray(value)
        real = np.issubdtype(array.dtype, np.floating)
        return self.stored(name, array.astype(self.dtype if real else np.int64))

    def stored(self, name: str, array: Array) -> str:
        """An initializer in the type that it has."""
        if name not in self.initializers:
            self.initializers[name] = self.tensor(name, array)
        return name

    def tensor(self, name: str, array: Array) -> TensorProto:
        """A constant for an attribute, in the type that it has."""
        return self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)

    def weight(self, name: str, tensor: Tensor, wide: bool = False) -> str:
        """A parameter, with the name of its part in front; `wide`: in float32 whatever the type."""
        dtype = np.float32 if wide else self.dtype
        return self.stored(".".join([*self._scope, name]), tensor.detach().numpy().astype(dtype))

    def cast(self, value: str, dtype: type[np.floating[Any]]) -> str:
        """`value` in that type."""
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", value, to=kind)

    def _fresh(self, operator: str) -> str:
        stem = "/".join([*self._scope, operator])
        count = self._counts[stem] = self._counts.get(stem, -1) + 1
        return f"{stem}_{count}" if count else stem


class _Scope:
    """A name that is in front of others as long as the block lasts."""

    def __init__(self, scope: list[str], name: str) -> None:
        self._scope, self._name = scope, name

    def __enter__(self) -> None:
        self._scope.append(self._name)

    def __exit__(self, *error: object) -> None:
        self._scope.pop()
