"""Group nodes of older pages -> the nodes inside of them, as the page itself opens them today.

A group's definition lists nodes and the links between them by number. What an instance saves is one
list of values for all widgets inside, and sockets for what is not linked inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..problems import WorkflowError
from .definitions import Definitions, NodeDefinition
from .ui_document import (
    BYPASSED,
    MUTED,
    GroupDefinition,
    Level,
    Socket,
    UiDocument,
    UiLink,
    UiNode,
)
from .widgets import Widget, misfit, takes_value, widgets_in_group

_PREFIXES = ("workflow/", "workflow>")


def is_group(node: UiNode) -> bool:
    """Whether a node is an instance of a group."""
    return node.type.startswith(_PREFIXES)


def ungrouped(document: UiDocument, definitions: Definitions) -> UiDocument:
    """The document with the nodes inside of its groups in the place of these.

    Their ids are those that the page gives, which makes a subgraph of each group: "9:7".

    Raises WorkflowError for an instance whose definition is missing, or holds unknown classes.
    """
    root, last = document.root, document.last_id
    groups = [node for node in document.all_nodes() if is_group(node)]
    for node in groups:
        definition = document.groups.get(node.type[len(_PREFIXES[0]) :])
        if definition is None or node.id not in root.nodes:
            raise WorkflowError.of(
                "this is a group node of an old page, and the workflow does not hold what is in it",
                "unsupported",
                node.id,
                node.type,
            )
        around = last + len(definition.nodes) + 1
        ids = [f"{around}:{last + 1 + n}" for n in range(len(definition.nodes))]
        root, last = _Unpacking(node, definition, definitions, ids).into(root), around
    return replace(document, root=root, last_id=last)


@dataclass
class _Unpacking:
    """One instance on its way into the level around it."""

    instance: UiNode
    group: GroupDefinition
    definitions: Definitions
    ids: list[str]
    _seen: dict[str, int] = field(default_factory=dict)
    _slots: list[tuple[int, str, str]] = field(default_factory=list)
    """The sockets of the instance in its own order: node, its input, the name outside."""

    def into(self, level: Level) -> Level:
        """The level with the nodes inside; links to the instance end at them."""
        nodes = self._nodes()
        links = {k: self._outside(link) for k, link in level.links.items()}
        for number, (position, source, slot, target) in enumerate(self._inside(nodes)):
            key = f"{self.instance.id}-{number}"
            nodes[position] = _linked(nodes[position], target, key)
            links[key] = UiLink(self.ids[source], slot, self.ids[position], target)
        for key, (position, name) in self._entering():
            slot = next(i for i, s in enumerate(nodes[position].inputs) if s.name == name)
            nodes[position] = _linked(nodes[position], slot, key)
            links[key] = replace(links[key], target=self.ids[position], target_slot=slot)
        kept = {k: v for k, v in level.nodes.items() if k != self.instance.id}
        return replace(level, nodes={**kept, **{node.id: node for node in nodes}}, links=links)

    def _nodes(self) -> list[UiNode]:
        """The nodes inside, with the values that the instance has for their widgets."""
        nodes, taken, later = [], 0, []
        read: list[Widget] = []
        for number, node in enumerate(self.group.nodes):
            definition = self.definitions.get(node.type)
            values = self.instance.values[taken:]
            own: Mapping[str, object] = {}
            if node.type == "PrimitiveNode" and values:
                kind = self.group.type_from(number)
                node = replace(node, values=values[:1])
                taken += 1 + {"INT": 1, "COMBO": 2}.get(kind, 0)
            elif definition is not None:
                apart = [s.name for s in node.inputs if s.widget == s.name]
                found, count = widgets_in_group(replace(node, values=values), definition, apart)
                taken += count
                read += found
                saved, _ = widgets_in_group(node, definition, ())
                own = {**{w.name: w.value for w in saved}, **{w.name: w.value for w in found}}
                for widget in found:
                    self._outer_name(node, widget.name)
                later += [(number, node, name) for name in apart]
                self._add_slots(number, node, definition)
            mode = self.instance.mode if self.instance.mode in (MUTED, BYPASSED) else node.mode
            sockets = [replace(socket, link=None) for socket in node.inputs]
            sockets += _unsaved(node, definition) if definition else []
            nodes.append(
                replace(
                    node,
                    id=self.ids[number],
                    mode=mode,
                    order=self.instance.order,
                    inputs=tuple(sockets),
                    values=node.values if definition is None else (),
                    named=own,
                )
            )
        if taken != len(self.instance.values) and misfit(read):
            raise WorkflowError.of(
                f"its {len(self.instance.values)} saved values do not fit the widgets inside of "
                f"the group, which take {taken}; open the workflow in ComfyUI and save it again",
                "unknown_widget",
                self.instance.id,
                self.instance.type,
            )
        for number, node, name in later:
            if not self._is_linked_inside(number, node, name):
                self._slots.append((number, name, self._outer_name(node, name)))
        return nodes

    def _add_slots(self, number: int, node: UiNode, definition: NodeDefinition) -> None:
        hidden = self.group.hidden_inputs(number)
        for each in definition.inputs:
            if takes_value(each) or self._is_linked_inside(number, node, each.name):
                continue
            name = self._outer_name(node, each.name)
            if each.name not in hidden:
                self._slots.append((number, each.name, name))

    def _is_linked_inside(self, number: int, node: UiNode, name: str) -> bool:
        slot = next((i for i, socket in enumerate(node.inputs) if socket.name == name), None)
        return any(link[2:4] == (number, slot) for link in self.group.links)

    def _outer_name(self, node: UiNode, name: str) -> str:
        """What the instance calls an input of a node inside: made unique by the node's title."""
        label = next((s.label for s in node.inputs if s.name == name and s.label), name)
        key = outer = label
        if outer in self._seen:
            prefix = f"{node.title or node.type} "
            key = outer = f"{prefix}{name}"
            if outer in self._seen:
                outer = f"{prefix}{self._seen[outer]} {name}"
        self._seen[key] = self._seen.get(key, 1) + 1
        return outer

    def _inside(self, nodes: list[UiNode]) -> Iterator[tuple[int, int, int, int]]:
        """(target node, source node, output, input) of the links inside."""
        for source, slot, target, target_slot in self.group.links:
            if not (source < len(nodes) and target < len(nodes)):
                raise WorkflowError.of(
                    "a link inside of this group node is damaged",
                    "malformed",
                    self.instance.id,
                    self.instance.type,
                )
            yield target, source, slot, target_slot

    def _entering(self) -> Iterator[tuple[str, tuple[int, str]]]:
        """(link, node and input) of the links that enter the instance: by name, else by place."""
        for place, socket in enumerate(self.instance.inputs):
            if socket.link is None:
                continue
            named = [(n, name) for n, name, outer in self._slots if outer == socket.name]
            by_place = [(n, name) for n, name, _ in self._slots[place : place + 1]]
            for target in (named or by_place)[:1]:
                yield socket.link, target

    def _outside(self, link: UiLink) -> UiLink:
        """A link of the level around; one that leaves the instance starts at a node inside."""
        if link.origin != self.instance.id:
            return link
        outputs = list(self._outputs())
        if link.origin_slot >= len(outputs):
            return link
        number, slot = outputs[link.origin_slot]
        return replace(link, origin=self.ids[number], origin_slot=slot)

    def _outputs(self) -> Iterator[tuple[int, int]]:
        """The outputs of the instance in its own order: those that are not linked inside."""
        for number, node in enumerate(self.group.nodes):
            definition = self.definitions.get(node.type)
            count = len(definition.outputs) if definition else len(node.outputs)
            for slot in range(count):
                linked = any(link[:2] == (number, slot) for link in self.group.links)
                hidden = linked and (number, slot) not in self.group.external
                if self.group.shows_output(number, slot, default=not hidden):
                    yield number, slot


def _unsaved(node: UiNode, definition: NodeDefinition) -> list[Socket]:
    """Sockets that a node inside has, but that were not saved."""
    saved = {socket.name for socket in node.inputs}
    return [
        Socket(each.name, each.type)
        for each in definition.inputs
        if each.name not in saved and not takes_value(each)
    ]


def _linked(node: UiNode, slot: int, link: str) -> UiNode:
    """The node with a link at one of its inputs."""
    sockets = [replace(s, link=link) if i == slot else s for i, s in enumerate(node.inputs)]
    return replace(node, inputs=tuple(sockets))
