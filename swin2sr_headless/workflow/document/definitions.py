"""What a host says about its node classes: /object_info, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

WIDGET_TYPES = frozenset(
    ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "MARKDOWN", "COLOR", "IMAGEUPLOAD")
)
"""Types of inputs that have a widget on the page, unless they say `forceInput`."""

_UPLOADS = ("image_upload", "video_upload", "animated_image_upload", "audio_upload")


@dataclass(frozen=True)
class InputDefinition:
    """An input of a node class: `type` is "COMBO" for a choice, and `info` its options."""

    name: str
    type: str
    required: bool
    info: Mapping[str, object]

    @property
    def choices(self) -> list[object] | None:
        """What can be chosen, where it is a choice from a known list."""
        options = self.info.get("options")
        return options if self.type == "COMBO" and isinstance(options, list) else None

    @property
    def has_widget(self) -> bool:
        return self.type in WIDGET_TYPES and not self.info.get("forceInput")

    @property
    def default(self) -> object:
        """What the page fills in where nothing is saved."""
        if "default" in self.info:
            return self.info["default"]
        if self.choices:
            return self.choices[0]
        return {"INT": 0, "FLOAT": 0, "STRING": "", "BOOLEAN": False}.get(self.type)

    @property
    def is_file(self) -> bool:
        """Whether its value names a file of the input folder."""
        return any(self.info.get(flag) for flag in _UPLOADS)

    @property
    def control(self) -> int:
        """How many widgets the page puts behind it for what happens after a run: not in a prompt.

        A seed has one; a choice has a second one, a filter.
        """
        asked = self.info.get("control_after_generate")
        if asked is None and self.type == "INT":
            asked = self.name in ("seed", "noise_seed")
        if not asked:
            return 0
        return 2 if self.type == "COMBO" else 1


@dataclass(frozen=True)
class NodeDefinition:
    """A node class: its inputs in the page's order, the types of its outputs."""

    name: str
    inputs: tuple[InputDefinition, ...]
    outputs: tuple[str, ...]
    is_output: bool
    display_name: str = ""

    @cached_property
    def by_name(self) -> Mapping[str, InputDefinition]:
        return {each.name: each for each in self.inputs}

    @classmethod
    def from_info(cls, name: str, info: Mapping[str, object]) -> NodeDefinition:
        """Of a class's entry in /object_info; what it leaves out is taken for empty."""
        groups = _mapping(info.get("input"))
        order = _mapping(info.get("input_order"))
        inputs = []
        for group in ("required", "optional"):
            specs = _mapping(groups.get(group))
            names = order.get(group)
            listed = [n for n in names if n in specs] if isinstance(names, list) else []
            for each in [*listed, *(n for n in specs if n not in listed)]:
                inputs.append(_input(str(each), specs[each], group == "required"))
        outputs = info.get("output")
        types = tuple(_type_name(t) for t in outputs) if isinstance(outputs, (list, tuple)) else ()
        title = str(info.get("display_name") or name)
        return cls(name, tuple(inputs), types, bool(info.get("output_node")), title)


Definitions = Mapping[str, NodeDefinition]


def parse_definitions(object_info: Mapping[str, object]) -> dict[str, NodeDefinition]:
    """All classes of /object_info."""
    return {name: NodeDefinition.from_info(name, _mapping(e)) for name, e in object_info.items()}


def fits(received: str, expected: str) -> bool:
    """Whether an output of one type may feed an input of another: "*", or a type in common."""
    if "*" in (received, expected):
        return True
    return bool({t.strip() for t in received.split(",")} & {t.strip() for t in expected.split(",")})


def _input(name: str, spec: object, required: bool) -> InputDefinition:
    parts = list(spec) if isinstance(spec, (list, tuple)) else [spec]
    info = dict(_mapping(parts[1])) if len(parts) > 1 else {}
    kind = parts[0] if parts else "*"
    if isinstance(kind, (list, tuple)):  # the older way to write a choice
        info["options"] = list(kind)
        kind = "COMBO"
    return InputDefinition(name, str(kind), required, info)


def _type_name(kind: object) -> str:
    return "COMBO" if isinstance(kind, (list, tuple)) else str(kind)


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
