"""Stand-in for `comfy_api.latest.io`: the types, inputs, outputs and classes that define a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

__all__ = [
    "SEGS",
    "AnyType",
    "Audio",
    "Boolean",
    "Combo",
    "ComfyNode",
    "Custom",
    "Float",
    "Hidden",
    "HiddenHolder",
    "Image",
    "Input",
    "Int",
    "Mask",
    "MultiType",
    "NodeOutput",
    "Output",
    "Schema",
    "String",
    "UploadType",
    "UpscaleModel",
    "Video",
]

Options = dict[str, object]


def _known(options: Mapping[str, object]) -> Options:
    """Without what is not given: ComfyUI leaves out what is None."""
    return {name: value for name, value in options.items() if value is not None}


class UploadType(str, Enum):
    """What a choice of files lets one upload."""

    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"


class Hidden(str, Enum):
    """What a node can ask to be told besides its inputs."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"


class HiddenHolder:
    """What a running node was told; names it did not ask for are None."""

    def __init__(self, unique_id: str | None, prompt: object, extra_pnginfo: object) -> None:
        self.unique_id = unique_id
        self.prompt = prompt
        self.extra_pnginfo = extra_pnginfo

    def __getattr__(self, name: str) -> None:
        return None

    @classmethod
    def from_dict(cls, d: Mapping[Hidden, Any] | None) -> HiddenHolder:
        known = d or {}
        return cls(
            known.get(Hidden.unique_id), known.get(Hidden.prompt), known.get(Hidden.extra_pnginfo)
        )


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

    def get_io_type(self) -> str:
        """The name of the type, or several with commas between."""
        return self.io_type

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


class _FloatInput(_NumberInput):
    def __init__(self, id: str, *, round: float | None = None, **options: Any) -> None:
        super().__init__(id, **options)
        self.round = round

    def as_dict(self) -> Options:
        return super().as_dict() | _known({"round": self.round})


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
        upload: UploadType | None = None,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy)
        self.options, self.default, self.upload = options, default, upload

    def as_dict(self) -> Options:
        own = {"default": self.default, "multiselect": False, "options": self.options}
        button: Options = {self.upload.value: True} if self.upload is not None else {}
        return super().as_dict() | _known(own) | button


class _SwitchInput(Input):
    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: bool | None = None,
        label_on: str | None = None,
        label_off: str | None = None,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy)
        self.default, self.label_on, self.label_off = default, label_on, label_off

    def as_dict(self) -> Options:
        own = {"default": self.default, "label_on": self.label_on, "label_off": self.label_off}
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


AnyType = _type("*")
Audio = _type("AUDIO")
Boolean = _type("BOOLEAN", _SwitchInput)
Combo = _type("COMBO", _ChoiceInput)
Float = _type("FLOAT", _FloatInput)
Image = _type("IMAGE")
Int = _type("INT", _NumberInput)
Mask = _type("MASK")
SEGS = _type("SEGS")
String = _type("STRING", _TextInput)
UpscaleModel = _type("UPSCALE_MODEL")
Video = _type("VIDEO")


class MultiType:
    """A socket that takes several types."""

    class Input(Input):
        def __init__(
            self,
            id: str,
            types: Sequence[type[_Type]],
            display_name: str | None = None,
            optional: bool = False,
            tooltip: str | None = None,
            lazy: bool | None = None,
            extra_dict: Options | None = None,
        ) -> None:
            super().__init__(id, display_name, optional, tooltip, lazy, extra_dict)
            self._types = types

        def get_io_type(self) -> str:
            return ",".join(dict.fromkeys(each.io_type for each in self._types))


@dataclass
class Schema:
    """The definition of a node."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
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
    hidden: HiddenHolder = HiddenHolder(None, None, None)

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, *args: Any, **kwargs: Any) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, *args: Any, **kwargs: Any) -> bool | str:
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, *args: Any, **kwargs: Any) -> object:
        raise NotImplementedError

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        """The schema as it is now: lists of files may have changed since the last call."""
        return cls.define_schema()

    @classmethod
    def PREPARE_CLASS_CLONE(cls, hidden_inputs: Mapping[Hidden, Any] | None, /) -> type[ComfyNode]:
        """A class of the same node that has been told these things, and cannot be changed."""
        hidden = HiddenHolder.from_dict(hidden_inputs)
        return _Locked(cls.__name__, (cls,), {"hidden": hidden})

    @classmethod
    def EXECUTE_NORMALIZED(cls, *args: Any, **kwargs: Any) -> NodeOutput:
        """Run `execute` on a locked class, as the executor does."""
        locked = cls if isinstance(cls, _Locked) else cls.PREPARE_CLASS_CLONE(None)
        return locked.execute(*args, **kwargs)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, tuple[str, Options]]]:
        """Required and optional inputs: type and options, by name."""
        inputs: dict[str, dict[str, tuple[str, Options]]] = {"required": {}}
        for each in cls.GET_SCHEMA().inputs:
            group = inputs.setdefault("optional" if each.optional else "required", {})
            group[each.id] = (each.get_io_type(), each.as_dict())
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
