"""A workflow in API format: nodes by id, their values, and the links between them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from ..problems import Problem, WorkflowError

Json = dict[str, object]


@dataclass(frozen=True)
class Link:
    """Output number `slot` of another node."""

    node: str
    slot: int


@dataclass(frozen=True)
class Node:
    """A node: its class, and for each input a value or a Link.

    `pack` is what a prompt tells of the node pack that has the class: its id and version.
    """

    class_type: str
    inputs: Mapping[str, object] = field(default_factory=dict)
    title: str = ""
    pack: Mapping[str, object] = field(default_factory=dict)

    @property
    def links(self) -> dict[str, Link]:
        """The inputs that come from other nodes."""
        return {name: value for name, value in self.inputs.items() if isinstance(value, Link)}


Graph = dict[str, Node]


def is_api_format(document: object) -> bool:
    """Whether a JSON value looks like a workflow in API format."""
    return (
        isinstance(document, dict)
        and bool(document)
        and all(isinstance(entry, dict) and "class_type" in entry for entry in document.values())
    )


def parse_api(document: Mapping[str, object]) -> Graph:
    """A workflow in API format. Raises WorkflowError for what is no such thing.

    Links are not followed here; `check_links` does that.
    """
    if not document:
        raise WorkflowError.of("the workflow has no nodes", "malformed")
    return {str(node_id): _node(str(node_id), entry) for node_id, entry in document.items()}


def to_api(graph: Graph) -> Json:
    """The inverse of `parse_api`: JSON as ComfyUI takes it."""
    return {
        node_id: {
            "inputs": {name: _to_json(value) for name, value in node.inputs.items()},
            "class_type": node.class_type,
            **({"_meta": meta} if (meta := _meta(node)) else {}),
        }
        for node_id, node in graph.items()
    }


def _meta(node: Node) -> Json:
    return {**({"title": node.title} if node.title else {}), **node.pack}


def check_links(graph: Graph) -> None:
    """Raise WorkflowError for links to nodes that are not there, and for a cycle."""
    problems = [
        Problem(
            f"its input {name} comes from node {link.node}, which is not in the workflow",
            "missing_node",
            node_id,
            node.class_type,
        )
        for node_id, node in graph.items()
        for name, link in node.links.items()
        if link.node not in graph
    ]
    if problems:
        raise WorkflowError(problems)
    cycle = find_cycle(graph)
    if cycle:
        around = " -> ".join([*cycle, cycle[0]])
        raise WorkflowError.of(
            f"its input depends on its own output ({around}); remove one of these links",
            "cycle",
            cycle[0],
            graph[cycle[0]].class_type,
        )


def sources_of(graph: Graph) -> dict[str, list[str]]:
    """For every node those whose outputs it takes: a graph as `graphlib` wants it."""
    return {
        node_id: list(dict.fromkeys(link.node for link in node.links.values()))
        for node_id, node in graph.items()
    }


def find_cycle(graph: Graph) -> list[str]:
    """Nodes each of which feeds the next, and the last the first; empty where there are none.

    The last is the one that stands first in the workflow.
    """
    try:
        TopologicalSorter(sources_of(graph)).prepare()
    except CycleError as error:
        cycle: list[str] = error.args[1][:-1]
        last = cycle.index(min(cycle, key=list(graph).index))
        return cycle[last + 1 :] + cycle[: last + 1]
    return []


def _node(node_id: str, entry: object) -> Node:
    if not isinstance(entry, dict):
        raise WorkflowError.of(
            f"expected an object with class_type and inputs, got {_short(entry)}",
            "malformed",
            node_id,
        )
    class_type, inputs = entry.get("class_type"), entry.get("inputs", {})
    if not isinstance(class_type, str) or not class_type:
        raise WorkflowError.of(
            f"class_type must be the name of a node, got {_short(class_type)}", "malformed", node_id
        )
    if not isinstance(inputs, dict):
        raise WorkflowError.of(
            f"inputs must be an object, got {_short(inputs)}", "malformed", node_id, class_type
        )
    meta = entry.get("_meta")
    meta = dict(meta) if isinstance(meta, dict) else {}
    title = meta.pop("title", None)
    values = {
        str(name): from_json(value, str(name), node_id, class_type)
        for name, value in inputs.items()
    }
    return Node(class_type, values, title if isinstance(title, str) else "", meta)


def from_json(value: object, name: str, node_id: str, class_type: str) -> object:
    """A list is a link; a list that is meant as a value comes wrapped as {"__value__": [...]}."""
    if not isinstance(value, list):
        return value
    if len(value) == 2 and isinstance(value[0], (str, int)) and _is_slot(value[1]):
        return Link(str(value[0]), int(value[1]))
    raise WorkflowError.of(
        f"its input {name} is {_short(value)}, and a list must be a link: [node id, output number]",
        "bad_link",
        node_id,
        class_type,
    )


def _is_slot(value: object) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _to_json(value: object) -> object:
    return [value.node, value.slot] if isinstance(value, Link) else value


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
