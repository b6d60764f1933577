"""Nodes of ComfyUI that hold values or choose between them, for the host without a ComfyUI."""

from __future__ import annotations

import sys

from ...comfy_stub import io_types as io


class _Primitive(io.ComfyNode):
    """Gives the value that it has."""

    @classmethod
    def execute(cls, value: object) -> io.NodeOutput:
        return io.NodeOutput(value)


class PrimitiveInt(_Primitive):
    """A whole number."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        value = io.Int.Input("value", default=0, min=-sys.maxsize, max=sys.maxsize)
        value.extra_dict["control_after_generate"] = True
        return _schema("PrimitiveInt", "Int", value, io.Int.Output())


class PrimitiveFloat(_Primitive):
    """A number."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        value = io.Float.Input("value", default=0.0, min=-sys.maxsize, max=sys.maxsize, step=0.1)
        return _schema("PrimitiveFloat", "Float", value, io.Float.Output())


class PrimitiveString(_Primitive):
    """A text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return _schema("PrimitiveString", "String", io.String.Input("value"), io.String.Output())


class PrimitiveStringMultiline(_Primitive):
    """A text of several lines."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        value = io.String.Input("value", multiline=True)
        name = "String (Multiline)"
        return _schema("PrimitiveStringMultiline", name, value, io.String.Output())


class PrimitiveBoolean(_Primitive):
    """True or false."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        value = io.Boolean.Input("value", default=False)
        return _schema("PrimitiveBoolean", "Boolean", value, io.Boolean.Output())


class ComfySwitchNode(io.ComfyNode):
    """One of two inputs; the executor leaves out what feeds the other where it can know it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ComfySwitchNode",
            display_name="Switch",
            category="logic",
            inputs=[
                io.Boolean.Input("switch"),
                io.AnyType.Input("on_false"),
                io.AnyType.Input("on_true"),
            ],
            outputs=[io.AnyType.Output(display_name="output")],
        )

    @classmethod
    def execute(
        cls, switch: bool, on_false: object = None, on_true: object = None
    ) -> io.NodeOutput:
        return io.NodeOutput(on_true if switch else on_false)


NODES: tuple[type[io.ComfyNode], ...] = (
    PrimitiveInt,
    PrimitiveFloat,
    PrimitiveString,
    PrimitiveStringMultiline,
    PrimitiveBoolean,
    ComfySwitchNode,
)


def _schema(node_id: str, name: str, value: io.Input, output: io.Output) -> io.Schema:
    return io.Schema(
        node_id=node_id,
        display_name=name,
        category="utils/primitive",
        inputs=[value],
        outputs=[output],
    )
