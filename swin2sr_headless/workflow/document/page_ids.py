"""Node ids as the page gives them: no two nodes of a workflow and its subgraphs share one.

Definitions of subgraphs number their nodes from scratch. Where that makes a number stand twice, the
page gives the later node the next free one when it opens the workflow, and a prompt has that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .ui_document import Level, UiDocument, UiNode


def with_unique_ids(document: UiDocument) -> UiDocument:
    """The document with the ids that the page would give its nodes."""
    last = document.last_id
    used = set(document.root.nodes)
    renamed: dict[str, Mapping[str, str]] = {}
    for name, level in document.subgraphs.items():
        changes: dict[str, str] = {}
        for node_id in level.saved_order:
            if node_id in used:
                last = _next_free(last, used)
                changes[node_id] = str(last)
            elif node_id.isdecimal():
                last = max(last, int(node_id))
            used.add(changes.get(node_id, node_id))
        if changes:
            renamed[name] = changes
    if not renamed:
        return document
    subgraphs = {
        name: _level(level, renamed.get(name, {}), renamed)
        for name, level in document.subgraphs.items()
    }
    root = _level(document.root, {}, renamed)
    return replace(document, root=root, subgraphs=subgraphs, last_id=last)


def _next_free(last: int, used: set[str]) -> int:
    last += 1
    while str(last) in used:
        last += 1
    return last


def _level(
    level: Level, changes: Mapping[str, str], renamed: Mapping[str, Mapping[str, str]]
) -> Level:
    nodes = [_node(node, changes, renamed.get(node.type, {})) for node in level.nodes.values()]
    links = {
        number: replace(
            link,
            origin=changes.get(link.origin, link.origin),
            target=changes.get(link.target, link.target),
        )
        for number, link in level.links.items()
    }
    return replace(level, nodes={node.id: node for node in nodes}, links=links)


def _node(node: UiNode, changes: Mapping[str, str], inside: Mapping[str, str]) -> UiNode:
    """A node under its new id, and, of an instance, with the new ids of the nodes inside."""
    listed = node.properties.get("proxyWidgets")
    properties = node.properties
    if inside and isinstance(listed, list):
        entries = [
            [inside.get(str(entry[0]), entry[0]), *entry[1:]]
            if isinstance(entry, list) and entry
            else entry
            for entry in listed
        ]
        properties = {**properties, "proxyWidgets": entries}
    return replace(node, id=changes.get(node.id, node.id), properties=properties)
