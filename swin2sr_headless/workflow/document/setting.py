"""Values that a user sets in a graph: which node and input they mean, and what kind they are."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from ..problems import WorkflowError
from .definitions import Definitions, InputDefinition
from .graph import Graph, Link, from_json


@dataclass(frozen=True)
class Typed:
    """A value as it was typed: the input that it is for decides whether it is text or JSON."""

    text: str

    def value_for(self, definition: InputDefinition | None, before: object) -> object:
        """The value for an input that had another one before.

        Text stays text, "1.10" too; JSON's own texts and links are read in any case.
        """
        try:
            parsed = json.loads(self.text)
        except ValueError:
            return self.text
        if isinstance(parsed, (str, list)):
            return parsed
        choices = definition.choices if definition is not None else None
        if choices is not None and parsed not in choices and self.text in choices:
            return self.text
        kind = definition.widget_type if definition is not None else None
        is_text = kind == "STRING" or (kind is None and isinstance(before, str))
        return self.text if is_text else parsed


def with_value(graph: Graph, target: str, value: object, definitions: Definitions) -> Graph:
    """The graph with the input "NODE.FIELD" changed; a node is meant by id, or by its one title.

    Both may have dots in them. A list is a link, as in API format.

    Raises WorkflowError where there is no such node or input.
    """
    node_id, field = _meant(graph, target)
    node = graph[node_id]
    if field not in node.inputs:
        known = ", ".join(node.inputs) or "none"
        raise WorkflowError.of(
            f"it has no input {field!r} to set; its inputs here are: {known}",
            "unknown_input",
            node_id,
            node.class_type,
        )
    if isinstance(value, Typed):
        known_class = definitions.get(node.class_type)
        known_input = known_class.by_name.get(field) if known_class else None
        before = node.inputs[field]
        value = value.value_for(known_input, "" if isinstance(before, Link) else before)
    value = from_json(value, field, node_id, node.class_type)
    return {**graph, node_id: replace(node, inputs={**node.inputs, field: value})}


def _meant(graph: Graph, target: str) -> tuple[str, str]:
    """The node and the input: the first way to part the words that names a node."""
    parts = target.split(".")
    ways = [(".".join(parts[:n]), ".".join(parts[n:])) for n in range(1, len(parts))]
    titles = [node.title for node in graph.values()]
    for name, field in ways:
        if name in graph:
            return name, field
    for name, field in ways:
        if name and titles.count(name) == 1:
            return next(i for i, node in graph.items() if node.title == name), field
    name = ways[0][0] if ways else target
    what = "several nodes are" if any(w[0] in titles for w in ways) else "no node is"
    known = ", ".join(f"{node_id} ({node.class_type})" for node_id, node in graph.items())
    raise WorkflowError.of(f"{what} called {name!r}; the nodes are: {known}", "unknown_node")
