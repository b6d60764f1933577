"""What a host says about its node classes: /object_info, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

WIDGET_TYPES = frozenset(
    ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "MARKDOWN", "COLOR", "IMAGEUPLOAD")
)
"""Types of inputs that take a value as well as a link, unless they say `forceInput`."""

DYNAMIC_COMBO, AUTOGROW, MATCH_TYPE = (
    "COMFY_DYNAMICCOMBO_V3",
    "COMFY_AUTOGROW_V3",
    "COMFY_MATCHTYPE_V3",
)
"""A choice that brings inputs along, a list that grows as it is linked, and any of several types,
which the outputs of the same template are of, too."""

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
    def widget_type(self) -> str:
        """The type whose widget it has: a union of types may name one of them."""
        return str(self.info.get("widgetType") or self.type)

    @property
    def link_type(self) -> str:
        """The type of what may be linked: one or several with commas between."""
        if self.type != MATCH_TYPE:
            return self.type
        return str(_mapping(self.info.get("template")).get("allowed_types", "*"))

    @property
    def has_widget(self) -> bool:
        return self.widget_type in WIDGET_TYPES and not self.info.get("forceInput")

    @property
    def default(self) -> object:
        """What the definition says the page should fill in where nothing is saved, if it does."""
        if "default" in self.info:
            return self.info["default"]
        options = self.info.get("options")
        if self.choices:
            return self.choices[0]
        first = options[0] if isinstance(options, list) and options else None
        return first.get("key") if isinstance(first, Mapping) else None

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

    def grown(self, linked: Sequence[str]) -> tuple[list[InputDefinition], list[InputDefinition]]:
        """The inputs of a list that grows as it is linked: those it starts with, and the others.

        There is always one more place than links need. `linked`: the inputs that have a link.
        """
        template = _mapping(self.info.get("template"))
        inputs = _inputs(_mapping(template.get("input")), {}, "")
        names = template.get("names")
        names = [str(name) for name in names] if isinstance(names, list) else None
        prefix = template.get("prefix") if len(inputs) == 1 else None
        least = int(str(template.get("min", 1)))
        most = len(names) if names else int(str(template.get("max", 100)))

        def place(number: int) -> list[InputDefinition]:
            return [
                replace(each, name=f"{self.name}.{name(each, number)}", required=number < least)
                for each in inputs
            ]

        def name(each: InputDefinition, number: int) -> str:
            return names[number] if names else f"{prefix or each.name}{number}"

        first = range(min(least + 1, most))
        taken = [n for n in range(most) if any(each.name in linked for each in place(n))]
        rest = range(len(first), min(max(taken, default=-1) + 2, most))
        return [i for n in first for i in place(n)], [i for n in rest for i in place(n)]


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
        inputs = _inputs(_mapping(info.get("input")), _mapping(info.get("input_order")), "")
        outputs = info.get("output")
        types = tuple(_type_name(t) for t in outputs) if isinstance(outputs, (list, tuple)) else ()
        title = str(info.get("display_name") or name)
        return cls(name, inputs, types, bool(info.get("output_node")), title)


Definitions = Mapping[str, NodeDefinition]


def parse_definitions(object_info: Mapping[str, object]) -> dict[str, NodeDefinition]:
    """All classes of /object_info."""
    return {name: NodeDefinition.from_info(name, _mapping(e)) for name, e in object_info.items()}


def fits(received: str, expected: str) -> bool:
    """Whether an output of one type may feed an input of another: "*", or a type in common.

    An output of the type of some input may be anything that this gets.
    """
    if "*" in (received, expected) or received == MATCH_TYPE:
        return True
    return bool({t.strip() for t in received.split(",")} & {t.strip() for t in expected.split(",")})


def nested_inputs(each: InputDefinition) -> dict[str, tuple[InputDefinition, ...]]:
    """The inputs that each option of a choice brings along, under their full names."""
    options = each.info.get("options")
    entries = [_mapping(entry) for entry in options] if isinstance(options, list) else []
    return {
        str(entry.get("key")): _inputs(_mapping(entry.get("inputs")), {}, f"{each.name}.")
        for entry in entries
    }


def asked(
    inputs: Sequence[InputDefinition], given: Mapping[str, object]
) -> Iterator[InputDefinition]:
    """The inputs that a node has with these values: choices and lists in their full length."""
    for each in inputs:
        if each.type == AUTOGROW:
            first, grown = each.grown(list(given))
            yield from first
            yield from grown
        elif each.type == DYNAMIC_COMBO:
            options = nested_inputs(each)
            yield replace(each, type="COMBO", info={**each.info, "options": list(options)})
            yield from asked(options.get(str(given.get(each.name)), ()), given)
        else:
            yield each


def _inputs(
    groups: Mapping[str, object], order: Mapping[str, object], prefix: str
) -> tuple[InputDefinition, ...]:
    inputs = []
    for group in ("required", "optional"):
        specs = _mapping(groups.get(group))
        names = order.get(group)
        listed = [n for n in names if n in specs] if isinstance(names, list) else []
        for each in [*listed, *(n for n in specs if n not in listed)]:
            inputs.append(_input(f"{prefix}{each}", specs[each], group == "required"))
    return tuple(inputs)


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
