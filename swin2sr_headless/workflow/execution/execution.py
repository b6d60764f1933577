"""Running a checked graph: in order, each node once, and only those whose inputs have changed."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from pathlib import Path

import torch

from ...comfy_stub import io_types as io
from ...comfy_stub.model_management import (
    InterruptProcessingException,
    throw_exception_if_processing_interrupted,
)
from ...failures import explain
from ..document.graph import Graph, Link, Node, sources_of
from ..problems import Problem
from ..report import NodeRun
from .dynamic_inputs import nested

logger = logging.getLogger(__name__)

Classes = Mapping[str, type[io.ComfyNode]]
Shown = dict[str, Mapping[str, object]]


@dataclass(frozen=True)
class Made:
    """What a node gave: for each output a list with one value per call; and what it shows.

    `values` is None where they were let go of: then the node has to run again for whoever needs it.
    """

    values: tuple[list[object], ...] | None
    shown: Mapping[str, object]

    @property
    def bytes(self) -> int:
        """Of the pictures among the values, frames of videos too; views count as what they show."""
        values = (getattr(x, "images", x) for given in self.values or () for x in given)
        storages = [x.untyped_storage() for x in values if isinstance(x, torch.Tensor)]
        return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


@dataclass
class Run:
    """What happened. `failure` is the node that failed; `interrupted` says that it was stopped."""

    nodes: dict[str, NodeRun] = field(default_factory=dict)
    shown: Shown = field(default_factory=dict)
    failure: Problem | None = None
    interrupted: bool = False


_KEPT = 128 << 20
"""Bytes of pictures that stay for the next run, which may need them again; more are let go of as
soon as the last node that reads them has run."""


class Executor:
    """Runs graphs one after the other and remembers the results of the last one, up to a limit."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._cache: dict[str, Made] = {}

    def run(
        self,
        graph: Graph,
        outputs: list[str],
        hidden: Mapping[io.Hidden, object],
        place: str,
        still_there: Callable[[Mapping[str, object]], bool],
        started: Callable[[str, Node], None] | None = None,
    ) -> Run:
        """Make the outputs of a graph that was validated.

        hidden: what nodes may ask for besides their inputs. place: where outputs go; a node that
        writes runs again when that changes. still_there: whether the files exist that a node has
        shown before; else it runs again, too.
        """
        graph = without_needless(graph)
        keys = _Keys(graph, self._classes, place).all()
        self._cache = {key: self._cache[key] for key in keys.values() if key in self._cache}
        for node_id in outputs:
            made = self._cache.get(keys[node_id])
            if made is not None and not still_there(made.shown):
                del self._cache[keys[node_id]]
        run = Run()
        there = {n for n in graph if keys[n] in self._cache}
        whole = {n for n in there if self._cache[keys[n]].values is not None}
        todo = _pending(graph, [n for n in outputs if n not in there], whole)
        cached = there - set(todo)
        readers = _Readers(graph, todo, keys)
        with torch.inference_mode():
            for node_id in _order(graph, todo, self._classes):
                known = self._cache.get(keys[node_id])
                if known is not None and known.values is not None:  # another node is just the same
                    run.nodes[node_id] = self._entry(graph, node_id, "cached")
                    continue
                if started is not None:
                    started(node_id, graph[node_id])
                if not self._step(graph, node_id, keys, hidden, run):
                    break
                self._let_go(readers.done(node_id))
        for node_id in graph:
            state = "cached" if node_id in cached else "skipped"
            run.nodes.setdefault(node_id, self._entry(graph, node_id, state))
            made = self._cache.get(keys[node_id])
            if made is not None and made.shown:
                run.shown[node_id] = made.shown
        return run

    def _let_go(self, unread: list[str]) -> None:
        """Drop the values of results that nobody reads any more, beyond what may stay."""
        for key in unread:
            kept = sum(made.bytes for made in self._cache.values())
            if kept <= _KEPT:
                return
            made = self._cache.get(key)
            if made is not None and made.bytes:
                self._cache[key] = Made(None, made.shown)

    def forget(self) -> None:
        """Drop all results."""
        self._cache.clear()

    def _step(
        self,
        graph: Graph,
        node_id: str,
        keys: Mapping[str, str],
        hidden: Mapping[io.Hidden, object],
        run: Run,
    ) -> bool:
        """Run one node; False where the rest must not run."""
        node, begun = graph[node_id], time.perf_counter()
        state = "ran"
        try:
            throw_exception_if_processing_interrupted()
            inputs = {name: self._input(value, keys) for name, value in node.inputs.items()}
            told = {**hidden, io.Hidden.unique_id: node_id}
            self._cache[keys[node_id]] = _call(self._classes[node.class_type], inputs, told)
        except InterruptProcessingException:
            run.interrupted, state = True, "skipped"
        except Exception as error:
            logger.debug("node %s failed", node_id, exc_info=True)
            run.failure, state = _problem(error, node_id, node.class_type), "failed"
        seconds = time.perf_counter() - begun
        run.nodes[node_id] = NodeRun(node_id, node.class_type, state, seconds)
        return state == "ran"

    def _input(self, value: object, keys: Mapping[str, str]) -> list[object]:
        if isinstance(value, Link):
            values = self._cache[keys[value.node]].values
            assert values is not None, "it is read after it was let go of"
            return values[value.slot]
        return [value]

    @staticmethod
    def _entry(graph: Graph, node_id: str, state: str) -> NodeRun:
        return NodeRun(
            node_id, graph[node_id].class_type, state, 0.0 if state == "cached" else None
        )


class _Readers:
    """Who still reads which result, by the results' keys: nodes that are the same share one."""

    def __init__(self, graph: Graph, todo: list[str], keys: Mapping[str, str]) -> None:
        self._sources = {n: {keys[link.node] for link in graph[n].links.values()} for n in todo}
        self._keys = keys
        self._left: dict[str, set[str]] = {}
        for node_id, sources in self._sources.items():
            for key in sources:
                self._left.setdefault(key, set()).add(node_id)

    def done(self, node_id: str) -> list[str]:
        """The results that nobody reads any more, now that a node has run."""
        for key in self._sources[node_id]:
            self._left[key].discard(node_id)
        unread = [key for key in self._sources[node_id] if not self._left[key]]
        own = self._keys[node_id]
        return unread if self._left.get(own) else [*unread, own]


class _Keys:
    """A key per node that changes with anything that its results depend on."""

    def __init__(self, graph: Graph, classes: Classes, place: str) -> None:
        self._graph, self._classes, self._place = graph, classes, place
        self._known: dict[str, str] = {}

    def all(self) -> dict[str, str]:
        """Every node's key; sources first, so that no depth of the graph is too deep."""
        for node_id in TopologicalSorter(sources_of(self._graph)).static_order():
            self._known[node_id] = self._key(node_id)
        return self._known

    def _key(self, node_id: str) -> str:
        node = self._graph[node_id]
        schema = self._classes[node.class_type].GET_SCHEMA()
        parts: list[object] = [node.class_type, self._fingerprint(node)]
        if schema.not_idempotent or io.Hidden.unique_id in (schema.hidden or ()):
            parts.append(node_id)
        if schema.is_output_node:
            parts.append(self._place)
        for name in sorted(node.inputs):
            value = node.inputs[name]
            known = (self._known[value.node], value.slot) if isinstance(value, Link) else value
            parts.append([name, isinstance(value, Link), known])
        text = json.dumps(parts, sort_keys=True, default=repr)
        return hashlib.sha256(text.encode()).hexdigest()

    def _fingerprint(self, node: Node) -> object:
        node_class = self._classes[node.class_type]
        if not overridden(node_class, "fingerprint_inputs"):
            return None
        try:
            return node_class.fingerprint_inputs(**constants(node))
        except Exception as error:
            logger.warning("%s cannot tell whether it has changed: %s", node.class_type, error)
            return time.perf_counter_ns()  # never the same again: it runs


def overridden(node_class: type[io.ComfyNode], method: str) -> bool:
    """Whether a node has such a method of its own."""
    return getattr(node_class, method).__func__ is not getattr(io.ComfyNode, method).__func__


def constants(node: Node) -> dict[str, object]:
    """The inputs of a node before anything runs: what comes through a link is None."""
    return {n: None if isinstance(v, Link) else v for n, v in node.inputs.items()}


def without_needless(graph: Graph) -> Graph:
    """The graph without the links of switches whose choice is known to be the other one."""

    def value_of(value: object) -> object:
        if isinstance(value, Link) and graph[value.node].class_type == "PrimitiveBoolean":
            return graph[value.node].inputs.get("value")
        return value

    def lighter(node: Node) -> Node:
        choice = value_of(node.inputs.get("switch"))
        if node.class_type != "ComfySwitchNode" or isinstance(choice, Link):
            return node
        needless = "on_false" if choice else "on_true"
        return replace(node, inputs={n: v for n, v in node.inputs.items() if n != needless})

    return {node_id: lighter(node) for node_id, node in graph.items()}


def _pending(graph: Graph, outputs: list[str], whole: set[str]) -> list[str]:
    """What has to run, in the order in which ComfyUI finds it: from the outputs backwards."""
    found = dict.fromkeys(outputs)
    for node_id in (todo := list(found)):
        for link in graph[node_id].links.values():
            if link.node not in whole and link.node not in found:
                found[link.node] = None
                todo.append(link.node)
    return list(found)


def _order(graph: Graph, todo: list[str], classes: Classes) -> Iterator[str]:
    """Sources first; among those that are ready, what brings an output nearest."""
    shows = {n: classes[graph[n].class_type].GET_SCHEMA().is_output_node for n in todo}
    feeds: dict[str, list[str]] = {n: [] for n in todo}
    for node_id in todo:
        for link in graph[node_id].links.values():
            if link.node in feeds:
                feeds[link.node].append(node_id)

    def rank(node_id: str) -> int:
        if shows[node_id]:
            return 0
        if any(shows[fed] for fed in feeds[node_id]):
            return 1
        return 2 if any(shows[far] for fed in feeds[node_id] for far in feeds[fed]) else 3

    places = {node_id: (rank(node_id), number) for number, node_id in enumerate(todo)}
    sources = sources_of(graph)
    sorter = TopologicalSorter({n: places.keys() & sources[n] for n in todo})
    sorter.prepare()
    ready: set[str] = set()
    while sorter.is_active():
        ready.update(sorter.get_ready())
        chosen = min(ready, key=places.__getitem__)
        ready.remove(chosen)
        yield chosen
        sorter.done(chosen)


def _call(
    node_class: type[io.ComfyNode],
    inputs: Mapping[str, list[object]],
    hidden: Mapping[io.Hidden, object],
) -> Made:
    """Call a node: once for lists, else once per item, shorter lists repeating their last one."""
    schema = node_class.GET_SCHEMA()
    asked = {name: value for name, value in hidden.items() if name in (schema.hidden or ())}
    locked = node_class.PREPARE_CLASS_CLONE(asked)
    calls: list[dict[str, object]]
    if schema.is_input_list:
        calls = [dict(inputs)]
    else:
        count = max((len(values) for values in inputs.values()), default=1)
        calls = [{n: v[min(i, len(v) - 1)] for n, v in inputs.items()} for i in range(count)]
    results = [_output(locked.EXECUTE_NORMALIZED(**nested(schema, call))) for call in calls]
    values = []
    for slot, output in enumerate(schema.outputs):
        given = [(result.result or ())[slot] for result in results]
        values.append([x for g in given for x in g] if output.is_output_list else given)  # type: ignore[union-attr]
    shown: dict[str, object] = {}
    for result in results:
        for name, entries in (result.ui or {}).items():
            before = shown.get(name, [])
            shown[name] = [*before, *entries]  # type: ignore[misc]
    return Made(tuple(values), shown)


def _output(result: object) -> io.NodeOutput:
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    if isinstance(result, io.NodeOutput):
        return result
    return io.NodeOutput(*result) if isinstance(result, tuple) else io.NodeOutput()


def _problem(error: Exception, node_id: str, class_type: str) -> Problem:
    return Problem(explain(error).sentence, type(error).__name__, node_id, class_type)


def missing_files(shown: Mapping[str, object], folders: Mapping[str, Path]) -> bool:
    """Whether a file is gone that a node has shown before."""
    for items in shown.values():
        for item in items if isinstance(items, (list, tuple)) else ():
            if isinstance(item, dict) and "filename" in item:
                folder = folders.get(str(item.get("type")))
                name = Path(str(item.get("subfolder", "")), str(item["filename"]))
                if folder is not None and not (folder / name).is_file():
                    return True
    return False
