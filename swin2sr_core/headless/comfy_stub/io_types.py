"""Stand-in for `comfy_api.latest.io`: the types, inputs, outputs and classes that define a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

__all__ = [
    "Combo",
    "ComfyNode",
    "Custom",
    "Float",
    "Image",
    "Input",
    "Int",
    "Mask",
    "NodeOutput",
    "Output",
    "Schema",
    "String",
    "UpscaleModel",
]

Options = dict[str, object]


def _known(options: Mapping[str, object]) -> Options:
    """Without what is not given: ComfyUI leaves out what is None."""
    return {name: value for name, value in options.items() if value is not None}


class Input:
    """A socket of a node; one with a widget has more options."""

    io_type: ClassVar[str] = ""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        extra_dict: Options | None = None,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.lazy = lazy
        self.extra_dict = extra_dict or {}

    def as_dict(self) -> Options:
        """What a client is told, besides name and type."""
        own = {"display_name": self.display_name, "tooltip": self.tooltip, "lazy": self.lazy}
        return _known(own) | _known(self.extra_dict)


class Output:
    """What a node gives."""

    io_type: ClassVar[str] = ""

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list


class _NumberInput(Input):
    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: float | None = None,
        min: float | None = None,
        max: float | None = None,
        step: float | None = None,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy)
        self.default, self.min, self.max, self.step = default, min, max, step

    def as_dict(self) -> Options:
        own = {"default": self.default, "min": self.min, "max": self.max, "step": self.step}
        return super().as_dict() | _known(own)


class _TextInput(Input):
    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        multiline: bool = False,
        placeholder: str | None = None,
        default: str | None = None,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy)
        self.multiline, self.placeholder, self.default = multiline, placeholder, default

    def as_dict(self) -> Options:
        own = {
            "default": self.default,
            "multiline": self.multiline,
            "placeholder": self.placeholder,
        }
        return super().as_dict() | _known(own)


class _ChoiceInput(Input):
    def __init__(
        self,
        id: str,
        options: list[str] | None = None,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: str | None = None,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy)
        self.options, self.default = options, default

    def as_dict(self) -> Options:
        own = {"default": self.default, "multiselect": False, "options": self.options}
        return super().as_dict() | _known(own)


class _Type:
    """A kind of value that travels along a link; its Input and Output know its name."""

    io_type: ClassVar[str]
    Input: type[Any]
    Output: type[Any]


def _type(io_type: str, input_class: type[Input] = Input) -> type[_Type]:
    known = {"io_type": io_type}
    members = {
        **known,
        "Input": type("Input", (input_class,), dict(known)),
        "Output": type("Output", (Output,), dict(known)),
    }
    return type(io_type, (_Type,), members)


def Custom(io_type: str) -> type[_Type]:
    """A type of a node pack's own."""
    return _type(io_type)


Combo = _type("COMBO", _ChoiceInput)
Float = _type("FLOAT", _NumberInput)
Image = _type("IMAGE")
Int = _type("INT", _NumberInput)
Mask = _type("MASK")
String = _type("STRING", _TextInput)
UpscaleModel = _type("UPSCALE_MODEL")


@dataclass
class Schema:
    """The definition of a node."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    hidden: list[str] | None = None
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_api_node: bool = False
    not_idempotent: bool = False
    enable_expand: bool = False


class NodeOutput:
    """What `execute` returns: one value per output, and what the page shows on the node."""

    def __init__(self, *args: object, ui: Mapping[str, object] | None = None) -> None:
        self.args = args
        self.ui = ui

    @property
    def result(self) -> tuple[object, ...] | None:
        return self.args or None

    def __getitem__(self, index: int) -> object:
        return self.args[index]


class _Locked(type):
    """The class of nodes that are executing: a value kept on one would be lost."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise AttributeError(f"Cannot modify class attribute '{name}' on locked class")


class ComfyNode:
    """Base of all nodes: `define_schema` and `execute`, and optional checks of the inputs."""

    RELATIVE_PYTHON_MODULE: ClassVar[str] = "nodes"

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **kwargs: Any) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, **kwargs: Any) -> bool | str:
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, **kwargs: Any) -> object:
        raise NotImplementedError

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        """The schema as it is now: lists of files may have changed since the last call."""
        return cls.define_schema()

    @classmethod
    def EXECUTE_NORMALIZED(cls, *args: Any, **kwargs: Any) -> NodeOutput:
        """Run `execute` on a locked class, as the executor does."""
        locked = _Locked(cls.__name__, (cls,), {})
        return locked.execute(*args, **kwargs)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple[str, Options]]]:
        """Required and optional inputs: type and options, by name."""
        inputs: dict[str, dict[str, tuple[str, Options]]] = {"required": {}}
        for each in cls.GET_SCHEMA().inputs:
            group = inputs.setdefault("optional" if each.optional else "required", {})
            group[each.id] = (each.io_type, each.as_dict())
        return inputs

    @classmethod
    def GET_NODE_INFO_V1(cls) -> dict[str, object]:
        """What the server tells about the node under /object_info."""
        schema, inputs = cls.GET_SCHEMA(), cls.INPUT_TYPES()
        return {
            "input": inputs,
            "input_order": {group: list(names) for group, names in inputs.items()},
            "output": [each.io_type for each in schema.outputs],
            "output_is_list": [each.is_output_list for each in schema.outputs],
            "output_name": [each.display_name or each.io_type for each in schema.outputs],
            "output_tooltips": [each.tooltip for each in schema.outputs],
            "name": schema.node_id,
            "display_name": schema.display_name,
            "description": schema.description,
            "python_module": cls.RELATIVE_PYTHON_MODULE,
            "category": schema.category,
            "output_node": schema.is_output_node,
            "deprecated": schema.is_deprecated,
            "experimental": schema.is_experimental,
            "api_node": schema.is_api_node,
        }
