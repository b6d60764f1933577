"""A workflow as ComfyUI's page saves it: nodes, links and subgraphs, parsed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..problems import WorkflowError

ACTIVE, MUTED, BYPASSED = 0, 2, 4
INPUT_NODE, OUTPUT_NODE = "-10", "-20"
"""The two ends of a subgraph, as links inside of it name them."""

REROUTES = frozenset(("Reroute", "Reroute (rgthree)"))
"""Classes that exist on the page only, and hand on what they are given."""

SETTERS = frozenset(("SetNode", "easy setNode"))
GETTERS = frozenset(("GetNode", "easy getNode"))
"""Classes that exist on the page only: a getter gives what the setter of its name is given."""

_WITHOUT_EFFECT = frozenset(("Note", "MarkdownNote", "Label (rgthree)", "Bookmark (rgthree)")) | {
    f"Fast {what} (rgthree)" for what in ("Muter", "Bypasser", "Groups Muter", "Groups Bypasser")
}

VIRTUAL = _WITHOUT_EFFECT | REROUTES | SETTERS | GETTERS | {"PrimitiveNode"}
"""Classes that exist on the page only."""


@dataclass(frozen=True)
class Socket:
    """An input or output as saved: `widget` is the name of the widget that an input replaces."""

    name: str
    type: str
    link: str | None = None
    widget: str | None = None
    label: str = ""


@dataclass(frozen=True)
class UiLink:
    """A link of one level; ids are strings, numbers are positions among the sockets."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True)
class UiNode:
    """A node as saved. `values` are its widgets' values by position, `named` by name."""

    id: str
    type: str
    mode: int
    order: int
    inputs: tuple[Socket, ...]
    outputs: tuple[Socket, ...]
    values: tuple[object, ...]
    named: Mapping[str, object]
    title: str
    properties: Mapping[str, object]

    @property
    def is_virtual(self) -> bool:
        return self.type in VIRTUAL


@dataclass(frozen=True)
class Level:
    """The nodes and links of the workflow itself, or of one subgraph definition.

    Nodes are in the order in which they run. A definition has sockets of its own; those of an input
    know the links that start there.
    """

    nodes: Mapping[str, UiNode]
    links: Mapping[str, UiLink]
    name: str = ""
    inputs: tuple[Socket, ...] = ()
    outputs: tuple[Socket, ...] = ()
    saved_order: tuple[str, ...] = ()

    @cached_property
    def from_inputs(self) -> Mapping[int, tuple[UiLink, ...]]:
        """The links that start at each of the definition's inputs."""
        found: dict[int, list[UiLink]] = {}
        for link in self.links.values():
            if link.origin == INPUT_NODE:
                found.setdefault(link.origin_slot, []).append(link)
        return {slot: tuple(links) for slot, links in found.items()}

    def into_output(self, slot: int) -> UiLink | None:
        """The link that ends at one of the definition's outputs."""
        ends = (link for link in self.links.values() if link.target == OUTPUT_NODE)
        return next((link for link in ends if link.target_slot == slot), None)


@dataclass(frozen=True)
class GroupDefinition:
    """What is inside of a group node of an older page; nodes are meant by their numbers.

    links: (node, output, node, input). external: outputs that are used outside as well. config:
    by node, which inputs and outputs are shown.
    """

    nodes: tuple[UiNode, ...]
    links: tuple[tuple[int, int, int, int], ...]
    types: Mapping[int, str]
    external: frozenset[tuple[int, int]]
    config: Mapping[str, object]

    def type_from(self, node: int) -> str:
        """The type of what a primitive gives."""
        return self.types.get(node, "*")

    def hidden_inputs(self, node: int) -> set[str]:
        shown = _object(_object(self.config.get(str(node))).get("input"))
        return {name for name, each in shown.items() if _object(each).get("visible") is False}

    def shows_output(self, node: int, slot: int, default: bool) -> bool:
        outputs = _object(_object(self.config.get(str(node))).get("output"))
        visible = _object(outputs.get(str(slot))).get("visible")
        return visible if isinstance(visible, bool) else default


@dataclass(frozen=True)
class UiDocument:
    """A whole saved workflow."""

    root: Level
    subgraphs: Mapping[str, Level] = field(default_factory=dict)
    last_id: int = 0
    groups: Mapping[str, GroupDefinition] = field(default_factory=dict)

    def inner(self, node: UiNode) -> Level | None:
        """The definition that a node is an instance of, if it is a subgraph."""
        return self.subgraphs.get(node.type)

    def all_nodes(self) -> list[UiNode]:
        """Every node of every level, in saved order."""
        levels = [self.root, *self.subgraphs.values()]
        return [node for level in levels for node in level.nodes.values()]


def is_ui_format(document: object) -> bool:
    """Whether a JSON value looks like a workflow as the page saves it."""
    return isinstance(document, dict) and isinstance(document.get("nodes"), list)


def parse_ui(document: Mapping[str, object]) -> UiDocument:
    """A saved workflow. Raises WorkflowError for what is damaged."""
    definitions = document.get("definitions")
    listed = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    subgraphs = {
        str(each.get("id")): _level(each, f"subgraph {each.get('name', '')!r}")
        for each in _objects(listed, "the list of subgraphs")
    }
    groups = _object(_object(document.get("extra")).get("groupNodes"))
    parsed = {name: _group(_object(each), name) for name, each in groups.items()}
    return UiDocument(_level(document, "the workflow"), subgraphs, _last_id(document), parsed)


def _group(entry: Mapping[str, object], name: str) -> GroupDefinition:
    where = f"group {name!r}"
    listed = _objects(entry.get("nodes"), f"nodes of {where}")
    nodes = [_node({**each, "id": number}, where) for number, each in enumerate(listed)]
    links, external = (entry.get(part) or [] for part in ("links", "external"))
    if not isinstance(links, list) or not isinstance(external, list):
        raise WorkflowError.of(f"the links of {where} are damaged", "malformed")
    whole = [link for link in links if _are_numbers(link, 4)]
    return GroupDefinition(
        tuple(nodes),
        tuple((link[0], link[1], link[2], link[3]) for link in whole),
        {link[0]: str(link[5]) for link in whole if len(link) > 5},
        frozenset((each[0], each[1]) for each in external if _are_numbers(each, 2)),
        _object(entry.get("config")),
    )


def _are_numbers(entry: object, count: int) -> bool:
    """Whether it is a list that starts with so many: a link from outside has none first."""
    return (
        isinstance(entry, list)
        and len(entry) >= count
        and all(isinstance(each, int) for each in entry[:count])
    )


def _last_id(document: Mapping[str, object]) -> int:
    """The largest node id that the page has given in this workflow."""
    state = _object(document.get("state"))
    told = document.get("last_node_id", state.get("lastNodeId"))
    nodes = document.get("nodes")
    ids = (
        [each.get("id") for each in nodes if isinstance(each, dict)]
        if isinstance(nodes, list)
        else []
    )
    return max([n for n in (*ids, told) if isinstance(n, int)], default=0)


def _level(document: Mapping[str, object], name: str) -> Level:
    nodes = [_node(each, name) for each in _objects(document.get("nodes"), f"nodes of {name}")]
    links = document.get("links")
    parsed = [_link(each, name) for each in links] if isinstance(links, list) else []
    return Level(
        {node.id: node for node in sorted(nodes, key=lambda node: node.order)},
        dict(parsed),
        name,
        _sockets(document.get("inputs"), name),
        _sockets(document.get("outputs"), name),
        tuple(node.id for node in nodes),
    )


def _node(entry: Mapping[str, object], level: str) -> UiNode:
    node_id, kind, mode = entry.get("id"), entry.get("type"), entry.get("mode", ACTIVE)
    if not isinstance(node_id, (int, str)) or not isinstance(kind, str):
        raise WorkflowError.of(f"a node of {level} has no id or no type", "malformed")
    values, order = entry.get("widgets_values"), entry.get("order")
    named = entry.get("widgets_values_named")
    return UiNode(
        str(node_id),
        kind,
        mode if isinstance(mode, int) else ACTIVE,
        order if isinstance(order, int) else 0,
        _sockets(entry.get("inputs"), level),
        _sockets(entry.get("outputs"), level),
        tuple(values) if isinstance(values, list) else (),
        values if isinstance(values, dict) else named if isinstance(named, dict) else {},
        str(entry.get("title") or ""),
        _object(entry.get("properties")),
    )


def _sockets(entries: object, level: str) -> tuple[Socket, ...]:
    return tuple(
        Socket(
            str(each.get("name", "")),
            str(each.get("type", "*")),
            None if (link := each.get("link")) is None else str(link),
            str(widget["name"])
            if isinstance(widget := each.get("widget"), dict) and "name" in widget
            else None,
            str(each.get("label") or ""),
        )
        for each in _objects(entries, f"sockets in {level}")
    )


def _link(entry: object, level: str) -> tuple[str, UiLink]:
    """(id, link) of [id, origin, slot, target, slot, type], or of an object with these names."""
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    values = [entry.get(name) for name in names] if isinstance(entry, dict) else entry
    if not isinstance(values, list) or len(values) < 5 or None in values[:5]:
        raise WorkflowError.of(f"a link of {level} is damaged: {entry!r:.60}", "malformed")
    number, origin, origin_slot, target, target_slot = values[:5]
    if not isinstance(origin_slot, int) or not isinstance(target_slot, int):
        raise WorkflowError.of(f"a link of {level} is damaged: {entry!r:.60}", "malformed")
    return str(number), UiLink(str(origin), origin_slot, str(target), target_slot)


def _objects(entries: object, what: str) -> list[dict[str, object]]:
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise WorkflowError.of(f"{what}: expected a list of objects", "malformed")
    return entries


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
