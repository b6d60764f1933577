"""Checks of a whole workflow before anything runs, by ComfyUI's rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ..problems import Problem, WorkflowError
from .definitions import Definitions, InputDefinition, asked, fits
from .graph import Graph, Link, Node

_MANY = 12


def validate(
    graph: Graph, definitions: Definitions, own_checks: Callable[[str], frozenset[str]]
) -> tuple[Graph, list[str]]:
    """The part of the graph that its outputs need, values converted; and the outputs.

    Numbers and texts are converted as ComfyUI does it: "7" fits an INT. own_checks: the inputs of
    a class that the class itself checks, and nobody else does.

    Raises WorkflowError with everything that is wrong.
    """
    outputs = [n for n, node in graph.items() if definitions[node.class_type].is_output]
    if not outputs:
        raise WorkflowError.of(
            "no node of the workflow saves or shows anything; add one that does, like SaveImage",
            "no_outputs",
        )
    problems: list[Problem] = []
    checked: Graph = {}
    for node_id in _needed(graph, outputs):
        node = graph[node_id]
        own = own_checks(node.class_type)
        checker = _NodeCheck(graph, definitions, node_id, node, own)
        checked[node_id] = replace(node, inputs=checker.values())
        problems += checker.problems
    if problems:
        raise WorkflowError(problems)
    return {n: checked[n] for n in graph if n in checked}, outputs


def _needed(graph: Graph, outputs: list[str]) -> list[str]:
    """The outputs and all that they depend on, sources after what they feed."""
    found = dict.fromkeys(outputs)
    for node_id in (todo := list(outputs)):
        for link in graph[node_id].links.values():
            if link.node not in found:
                found[link.node] = None
                todo.append(link.node)
    return list(found)


class _NodeCheck:
    def __init__(
        self,
        graph: Graph,
        definitions: Definitions,
        node_id: str,
        node: Node,
        own: frozenset[str],
    ) -> None:
        self._graph, self._definitions = graph, definitions
        self._id, self._node, self._own = node_id, node, own
        self.problems: list[Problem] = []

    def values(self) -> dict[str, object]:
        """The inputs that the class knows, converted."""
        result: dict[str, object] = {}
        definition = self._definitions[self._node.class_type]
        for each in asked(definition.inputs, self._node.inputs):
            if each.name in self._node.inputs:
                result[each.name] = self._value(each, self._node.inputs[each.name])
            elif each.required:
                hint = "connect it" if not each.has_widget else "give it a value"
                self._wrong(
                    f"the input {each.name} ({each.link_type}) is missing; {hint}", "missing_input"
                )
        return result

    def _value(self, each: InputDefinition, value: object) -> object:
        if isinstance(value, Link):
            self._check_link(each, value)
            return value
        if isinstance(value, dict) and "__value__" in value:
            value = value["__value__"]
        if not each.has_widget:
            if each.type != "*" and not each.info.get("socketless"):
                self._wrong(
                    f"the input {each.name} wants a link to a {each.link_type}, got {value!r:.60}",
                    "wrong_type",
                )
            return value
        if each.is_file and not isinstance(value, str):
            self._wrong(f"{each.name} must be the name of a file, got {value!r:.60}", "wrong_type")
            return value
        try:
            value = _converted(each.type, value)
        except (TypeError, ValueError, OverflowError):
            self._wrong(f"{each.name} must be {_A[each.type]}, got {value!r:.60}", "wrong_type")
            return value
        if each.name not in self._own:
            self._check_range(each, value)
            self._check_choice(each, value)
        return value

    def _check_link(self, each: InputDefinition, link: Link) -> None:
        source = self._graph[link.node]
        given = self._definitions[source.class_type].outputs
        if not 0 <= link.slot < len(given):
            self._wrong(
                f"the input {each.name} wants output {link.slot} of node {link.node} "
                f"({source.class_type}), which has {len(given)}",
                "bad_link",
            )
        elif not fits(given[link.slot], each.link_type):
            self._wrong(
                f"the input {each.name} wants {each.link_type}, and node {link.node} "
                f"({source.class_type}) gives {given[link.slot]} there; connect another output",
                "wrong_type",
            )

    def _check_range(self, each: InputDefinition, value: object) -> None:
        least, most = each.info.get("min"), each.info.get("max")
        if each.type not in ("INT", "FLOAT") or not isinstance(value, (int, float)):
            return
        low = isinstance(least, (int, float)) and value < least
        high = isinstance(most, (int, float)) and value > most
        if low or high or not math.isfinite(value):
            self._wrong(
                f"{each.name} must be from {_number(least)} to {_number(most)}, "
                f"got {_number(value)}",
                "out_of_range",
            )

    def _check_choice(self, each: InputDefinition, value: object) -> None:
        # ComfyUI checks the lists of its older nodes only; a name that is not there fails anyway
        choices = each.choices
        if choices is None or value in choices:
            return
        shown = ", ".join(map(str, choices[:_MANY])) + (", ..." if len(choices) > _MANY else "")
        self._wrong(
            f"{each.name} must be one of {shown or '(nothing is listed)'}; got {value!r:.60}",
            "out_of_range",
        )

    def _wrong(self, message: str, kind: str) -> None:
        self.problems.append(Problem(message, kind, self._id, self._node.class_type))


_A = {
    "INT": "a whole number",
    "FLOAT": "a number",
    "STRING": "a text",
    "BOOLEAN": "true or false",
}


def _converted(kind: str, value: object) -> object:
    """As ComfyUI converts it, but nothing to a number that is none, and no text of None."""
    if value is None and kind in _A:
        raise TypeError(kind)
    if kind == "INT" and isinstance(value, (int, float, str)):
        return int(value)
    if kind == "FLOAT" and isinstance(value, (int, float, str)):
        return float(value)
    if kind == "STRING":
        return str(value)
    if kind == "BOOLEAN":
        return bool(value)
    if kind in ("INT", "FLOAT"):
        raise TypeError(kind)
    return value


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "anything" if value is None else str(value)
