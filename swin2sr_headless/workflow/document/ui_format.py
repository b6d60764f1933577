"""A workflow as the page saves it -> API format: what the page itself would queue.

Virtual nodes vanish, muted nodes give nothing, bypassed ones hand an input on, and the nodes inside
of a subgraph get the ids of the instances around them: "8:7:4". Checked against the exports of
ComfyUI's frontend 1.58.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..problems import Problem, WorkflowError
from .definitions import Definitions, fits
from .graph import Graph, Link, Node
from .group_nodes import ungrouped
from .page_ids import with_unique_ids
from .page_titles import page_title
from .queued_texts import chosen, filled_in, saves_files
from .ui_document import (
    BYPASSED,
    GETTERS,
    INPUT_NODE,
    MUTED,
    REROUTES,
    SETTERS,
    Level,
    Socket,
    UiDocument,
    UiLink,
    UiNode,
)
from .widgets import CUSTOM_COMBO, Widget, chosen_option, widget_values, widgets_of

_DEEPEST = 150
"""More nodes than this between an input and its source are taken for a loop."""


@dataclass(frozen=True)
class _Value:
    """What an input resolves to that is a widget's value on a subgraph's instance."""

    value: object


@dataclass(frozen=True)
class _Scope:
    """One level as it stands in the workflow: under which instances, and with which values.

    `changed` are values of widgets that a primitive or the instance sets: by node and widget.
    """

    level: Level
    path: tuple[str, ...] = ()
    parent: _Scope | None = None
    instance: UiNode | None = None
    changed: Mapping[tuple[str, str], object] | None = None

    def id_of(self, node: UiNode) -> str:
        return ":".join((*self.path, node.id))


def convert(document: UiDocument, definitions: Definitions, explain: Callable[[str], str]) -> Graph:
    """The prompt that the page would queue for a saved workflow.

    explain: the sentence for a class that `definitions` lacks.

    Raises WorkflowError for such classes, for links that lead nowhere, and for loops.
    """
    flat = ungrouped(with_unique_ids(document), definitions)
    return _Conversion(flat, definitions, explain).graph()


class _Conversion:
    def __init__(
        self, document: UiDocument, definitions: Definitions, explain: Callable[[str], str]
    ) -> None:
        self._document = document
        self._definitions = definitions
        self._explain = explain

    def graph(self) -> Graph:
        root = self._scope(self._document.root)
        active = list(self._active(root))
        unknown = [
            Problem(self._explain(node.type), "unknown_class", scope.id_of(node), node.type)
            for scope, node in active
            if node.type not in self._definitions
        ]
        if unknown:
            raise WorkflowError(unknown)
        graph = {scope.id_of(node): self._node(scope, node) for scope, node in active}
        return {
            node_id: replace(
                node,
                inputs={
                    name: value
                    for name, value in node.inputs.items()
                    if not (isinstance(value, Link) and value.node not in graph)
                },
            )
            for node_id, node in graph.items()
        }

    # -- which nodes there are -------------------------------------------------------------------

    def _active(self, scope: _Scope) -> Iterator[tuple[_Scope, UiNode]]:
        for node in scope.level.nodes.values():
            if node.mode in (MUTED, BYPASSED) or node.is_virtual:
                continue
            inner = self._inner(scope, node)
            if inner is None:
                yield scope, node
            else:
                yield from self._active(inner)

    def _scope(
        self, level: Level, parent: _Scope | None = None, instance: UiNode | None = None
    ) -> _Scope:
        path = (*parent.path, instance.id) if parent and instance else ()
        changed = dict(_from_primitives(level))
        if instance is not None:
            changed.update(_from_instance(instance))
        return _Scope(level, path, parent, instance, changed)

    def _inner(self, scope: _Scope, node: UiNode) -> _Scope | None:
        level = self._document.inner(node)
        if level is None:
            return None
        around: _Scope | None = scope
        while around is not None:
            if around.level is level:
                raise WorkflowError.of(f"{level.name} contains itself", "cycle", scope.id_of(node))
            around = around.parent
        return self._scope(level, scope, node)

    # -- one node --------------------------------------------------------------------------------

    def _node(self, scope: _Scope, node: UiNode) -> Node:
        definition = self._definitions[node.type]
        inputs = {each.name: self._worked_out(node, each) for each in self._widgets(scope, node)}
        for slot, socket in enumerate(node.inputs):
            source = self._input(scope, node, slot, socket.type, 0)
            if isinstance(source, _Value):
                inputs[socket.name] = _wrapped(source.value)
            elif source is not None:
                inputs[socket.name] = source
        if node.type == CUSTOM_COMBO:
            saved = widget_values(node, definition).get("choice")
            inputs["index"] = chosen_option(inputs, saved)
        title = node.title or page_title(definition)
        return Node(node.type, inputs, title, _pack(node))

    def _widgets(self, scope: _Scope, node: UiNode) -> list[Widget]:
        """A node's widgets, with the values that primitives and the instance around it set."""
        found = widgets_of(node, self._definitions[node.type])
        changed = scope.changed or {}
        return [
            replace(each, value=changed.get((node.id, each.name), each.value)) for each in found
        ]

    def _worked_out(self, node: UiNode, widget: Widget) -> object:
        value, info = widget.value, widget.definition.info if widget.definition else {}
        if isinstance(value, str) and info.get("dynamicPrompts"):
            return chosen(value)
        if isinstance(value, str) and widget.name == "filename_prefix" and saves_files(node.type):
            return filled_in(value, self._document.all_nodes(), self._named_value)
        return _wrapped(value)

    def _named_value(self, node: UiNode, widget: str) -> object:
        definition = self._definitions.get(node.type)
        try:
            return widget_values(node, definition).get(widget) if definition else None
        except WorkflowError:  # of a node that may not even run
            return None

    # -- where an input comes from ---------------------------------------------------------------

    def _input(
        self, scope: _Scope, node: UiNode, slot: int, kind: str, depth: int
    ) -> Link | _Value | None:
        """What feeds an input: an output, a value, or nothing. `kind`: the type that is wanted."""
        if depth > _DEEPEST:
            raise WorkflowError.of(
                "its links run in a circle through reroutes or bypassed nodes; remove one of them",
                "cycle",
                scope.id_of(node),
                node.type,
            )
        number = node.inputs[slot].link
        if number is None:
            return None
        link = scope.level.links.get(number)
        if link is None:
            raise _dangling(scope, node, f"the link {number} of its input {node.inputs[slot].name}")
        return self._origin(scope, node, link, kind, depth)

    def _origin(
        self, scope: _Scope, node: UiNode, link: UiLink, kind: str, depth: int
    ) -> Link | _Value | None:
        if link.origin == INPUT_NODE:
            return self._from_outside(scope, link.origin_slot, depth)
        source = scope.level.nodes.get(link.origin)
        if source is None:
            raise _dangling(scope, node, f"node {link.origin}, where a link to it starts,")
        return self._output(scope, source, link.origin_slot, kind, depth + 1)

    def _from_outside(self, scope: _Scope, slot: int, depth: int) -> Link | _Value | None:
        """What the instance of the subgraph around us is given at one of its inputs."""
        instance, parent = scope.instance, scope.parent
        if instance is None or parent is None:
            return None
        position = _instance_slot(scope.level, instance, slot)
        if position is not None and instance.inputs[position].link is not None:
            kind = instance.inputs[position].type
            return self._input(parent, instance, position, kind, depth + 1)
        promoted = self._promoted(scope.level, slot)
        if promoted is None:
            return None
        name = scope.level.inputs[slot].name
        return self._own_value(scope.level, instance, slot, name, promoted)

    def _own_value(
        self, level: Level, instance: UiNode, slot: int, name: str, inner: _Value
    ) -> _Value:
        """The value of an instance's own widget: as saved, or as it is inside."""
        for entry, value in _proxied(instance):
            targets = {(link.target, _socket_name(level, link)) for link in level.from_inputs[slot]}
            if entry in targets or entry == ("-1", name):
                return _Value(value)
        if "proxyWidgets" in instance.properties:
            return inner
        before = [n for n in range(slot) if self._promoted(level, n) is not None]
        if len(before) < len(instance.values) and instance.values[len(before)] is not None:
            return _Value(instance.values[len(before)])
        return _Value(instance.named[name]) if name in instance.named else inner

    def _promoted(self, level: Level, slot: int) -> _Value | None:
        """The value, inside, of the widget that an input of a subgraph stands for; or none."""
        for link in level.from_inputs.get(slot, ()):
            target = level.nodes.get(link.target)
            if target is None or link.target_slot >= len(target.inputs):
                continue
            inner = self._document.inner(target)
            if inner is not None:
                position = _definition_slot(inner, target, link.target_slot)
                deeper = None if position is None else self._promoted(inner, position)
                if position is not None and deeper is not None:
                    name = inner.inputs[position].name
                    return self._own_value(inner, target, position, name, deeper)
            elif (name := target.inputs[link.target_slot].widget) and (
                definition := self._definitions.get(target.type)
            ):
                return _Value(widget_values(target, definition).get(name))
        return None

    def _output(
        self, scope: _Scope, node: UiNode, slot: int, kind: str, depth: int
    ) -> Link | _Value | None:
        """What an output stands for, past everything that exists on the page only."""
        if node.mode == MUTED:
            return None
        if node.mode == BYPASSED:
            position = _bypass(node, slot, kind)
            if position is None:
                return None
            return self._input(scope, node, position, node.inputs[position].type, depth)
        inner = self._inner(scope, node)
        if inner is not None:
            end = inner.level.into_output(slot)
            return None if end is None else self._origin(inner, node, end, kind, depth)
        if node.type in REROUTES | SETTERS:
            return self._input(scope, node, 0, kind, depth) if node.inputs else None
        if node.type in GETTERS:
            around, setter = self._setter(scope, node)
            return self._output(around, setter, 0, kind, depth + 1)
        if node.is_virtual:
            return None
        return Link(scope.id_of(node), slot)

    def _setter(self, scope: _Scope, getter: UiNode) -> tuple[_Scope, UiNode]:
        """The setter of a getter's name: on its own level, else on one around it."""
        name = getter.values[0] if getter.values else None
        around: _Scope | None = scope
        while around is not None:
            for node in around.level.nodes.values():
                if node.type in SETTERS and node.values[:1] == (name,):
                    return around, node
            around = around.parent
        raise WorkflowError.of(
            f"no Set node is called {name!r}, which this Get node asks for",
            "missing_node",
            scope.id_of(getter),
            getter.type,
        )


def _bypass(node: UiNode, slot: int, kind: str) -> int | None:
    """The input that a bypassed node hands on as its output `slot`, to an input of type `kind`."""
    inputs = node.inputs
    if not inputs:
        return None
    if kind in ("*", ""):
        return slot if len(inputs) > slot else 0
    given = node.outputs[slot].type if slot < len(node.outputs) else "*"

    def suits(socket: Socket) -> bool:
        return fits(socket.type, given) and fits(socket.type, kind)

    if slot < len(inputs) and suits(inputs[slot]):
        return slot
    exact = next((i for i, socket in enumerate(inputs) if socket.type == kind), None)
    if exact is not None:
        return exact
    return next((i for i, socket in enumerate(inputs) if suits(socket)), None)


def _from_primitives(level: Level) -> Iterator[tuple[tuple[str, str], object]]:
    """The widgets of a level that primitives set."""
    for link in level.links.values():
        origin, target = level.nodes.get(link.origin), level.nodes.get(link.target)
        if origin is None or target is None or origin.type != "PrimitiveNode" or not origin.values:
            continue
        if link.target_slot < len(target.inputs):
            name = target.inputs[link.target_slot].widget
            if name:
                yield (target.id, name), origin.values[0]


def _proxied(instance: UiNode) -> Iterator[tuple[tuple[str, str], object]]:
    """Widgets inside that an instance of some earlier pages shows as its own, and their values."""
    listed = instance.properties.get("proxyWidgets")
    entries = listed if isinstance(listed, list) else []
    for entry, value in zip(entries, instance.values, strict=False):
        if isinstance(entry, list) and len(entry) >= 2:
            yield (str(entry[0]), str(entry[1])), value


def _from_instance(instance: UiNode) -> Iterator[tuple[tuple[str, str], object]]:
    return _proxied(instance)


def _instance_slot(level: Level, instance: UiNode, slot: int) -> int | None:
    """Where among an instance's saved inputs the definition's input `slot` is: by name."""
    if slot >= len(level.inputs):
        return None
    name = level.inputs[slot].name
    rank = [each.name for each in level.inputs[:slot]].count(name)
    places = [i for i, socket in enumerate(instance.inputs) if socket.name == name]
    return places[rank] if rank < len(places) else None


def _definition_slot(level: Level, instance: UiNode, position: int) -> int | None:
    """The inverse of `_instance_slot`."""
    slots = range(len(level.inputs))
    return next((n for n in slots if _instance_slot(level, instance, n) == position), None)


def _socket_name(level: Level, link: UiLink) -> str:
    target = level.nodes.get(link.target)
    if target is None or link.target_slot >= len(target.inputs):
        return ""
    return target.inputs[link.target_slot].name


def _pack(node: UiNode) -> dict[str, object]:
    """What the page tells of the node's pack in a prompt."""
    known = ("cnr_id", "aux_id", "ver")
    return {name: node.properties[name] for name in known if node.properties.get(name)}


def _wrapped(value: object) -> object:
    """A list among values would be read as a link."""
    return {"__value__": value} if isinstance(value, list) else value


def _dangling(scope: _Scope, node: UiNode, what: str) -> WorkflowError:
    return WorkflowError.of(
        f"{what} is not in the workflow; open it in ComfyUI and connect the input again",
        "missing_node",
        scope.id_of(node),
        node.type,
    )
