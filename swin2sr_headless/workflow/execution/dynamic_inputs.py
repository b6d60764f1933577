"""Inputs of newer versions of ComfyUI: a choice that brings inputs along, a list that grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...comfy_stub import io_types as io
from ..document.definitions import AUTOGROW, DYNAMIC_COMBO, MATCH_TYPE

Values = dict[str, object]


class DynamicCombo(io.Input):
    """A choice; the inputs of each option are named "choice.input" in a prompt."""

    io_type = DYNAMIC_COMBO

    def __init__(self, id: str, options: Mapping[str, Sequence[io.Input]]) -> None:
        super().__init__(id)
        self.options = options

    def as_dict(self) -> io.Options:
        options = [{"key": k, "inputs": _told(inputs)} for k, inputs in self.options.items()]
        return super().as_dict() | {"options": options}


class Autogrow(io.Input):
    """As many inputs of one kind as are linked, named "list.prefix0" and so on in a prompt."""

    io_type = AUTOGROW

    def __init__(self, id: str, each: io.Input, prefix: str, least: int, most: int) -> None:
        super().__init__(id)
        self.template = {"input": _told([each]), "prefix": prefix, "min": least, "max": most}

    def as_dict(self) -> io.Options:
        return super().as_dict() | {"template": self.template}


class MatchInput(io.Input):
    """Takes several types; the outputs of the same template are of the type that it gets."""

    io_type = MATCH_TYPE

    def __init__(self, id: str, template: str, types: str) -> None:
        super().__init__(id)
        self.template = {"template_id": template, "allowed_types": types}

    def as_dict(self) -> io.Options:
        return super().as_dict() | {"template": self.template}


class MatchOutput(io.Output):
    """Of the type that an input of its template gets."""

    io_type = MATCH_TYPE


def nested(schema: io.Schema, values: Values) -> Values:
    """Values as `execute` gets them: {"a": key, "a.b": 1} -> {"a": {"a": key, "b": 1}}."""
    result = dict(values)
    for each in schema.inputs:
        if each.get_io_type() in (DYNAMIC_COMBO, AUTOGROW):
            inner = [name for name in result if name.startswith(f"{each.id}.")]
            own = {each.id: result[each.id]} if each.id in result else {}
            result[each.id] = own | {n.removeprefix(f"{each.id}."): result.pop(n) for n in inner}
    return result


def _told(inputs: Sequence[io.Input]) -> dict[str, dict[str, list[object]]]:
    return {"required": {each.id: [each.get_io_type(), each.as_dict()] for each in inputs}}
