"""What ComfyUI says about a run, in events and in errors, made into a report."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..document.graph import Graph
from ..problems import Problem
from ..report import NodeRun
from .host import Progress


class Timeline:
    """Follows the events of one run, as they come or from its history.

    `cached` are the nodes whose results were there already.
    """

    def __init__(self, graph: Graph, progress: Progress | None = None) -> None:
        self._graph = graph
        self._progress = progress
        self.cached: set[str] = set()
        self._seconds: dict[str, float] = {}
        self._ran: list[str] = []
        self._current: str | None = None
        self._since = 0.0
        self._failed: str | None = None
        self._end = ""
        self.errors: tuple[Problem, ...] = ()

    def message(self, event: object, data: object, _client: object = None) -> None:
        """One event, live: "executing" and the like; what is unknown is passed over."""
        if not isinstance(event, str) or not isinstance(data, Mapping):
            return
        if event == "executing":
            self._executing(data.get("node"))
        elif event == "progress" and self._progress is not None:
            label = self._label(str(data.get("node") or self._current or ""))
            self._progress(label, float(data.get("value") or 0), float(data.get("max") or 1))
        else:
            self.history(event, data)

    def history(self, event: str, data: Mapping[str, Any]) -> None:
        """One of the messages that stay in a prompt's history."""
        if event == "execution_cached":
            listed = data.get("nodes")
            self.cached = {str(node) for node in listed} if isinstance(listed, list) else set()
        elif event in ("execution_success", "execution_error", "execution_interrupted"):
            self._executing(None)
            self._end = event
        if event == "execution_error":
            self._fail(data)
        listed = data.get("executed")
        if isinstance(listed, list):
            self._ran += [str(node) for node in listed if str(node) not in self._ran]

    def status(self, reason: str | None) -> str:
        """Of the report; `reason` is why the run was interrupted, if it was."""
        ends = {"execution_success": "done", "execution_error": "failed"}
        return ends.get(self._end) or reason or "interrupted"

    def nodes(self) -> tuple[NodeRun, ...]:
        """What every node of the graph did, in the order in which it happened."""
        order = dict.fromkeys([*self._ran, *self._graph])
        return tuple(self._node(node_id) for node_id in order if node_id in self._graph)

    def _node(self, node_id: str) -> NodeRun:
        state = "skipped"
        if node_id == self._failed:
            state = "failed"
        elif node_id in self.cached:
            state = "cached"
        elif node_id in self._ran or self._end == "execution_success":
            state = "ran"
        seconds = 0.0 if state == "cached" else self._seconds.get(node_id)
        return NodeRun(node_id, self._graph[node_id].class_type, state, seconds)

    def _executing(self, node: object) -> None:
        now = time.perf_counter()
        if self._current is not None:
            self._seconds.setdefault(self._current, 0.0)
            self._seconds[self._current] += now - self._since
        self._since = now
        self._current = None if node is None else str(node)
        if self._current is not None:
            if self._current not in self._ran:
                self._ran.append(self._current)
            if self._progress is not None:
                self._progress(self._label(self._current), 0, 1)

    def _fail(self, data: Mapping[str, Any]) -> None:
        self._failed = str(data.get("node_id"))
        text = " ".join(str(data.get("exception_message") or "").split())
        kind = str(data.get("exception_type") or "Exception").rpartition(".")[2]
        if "DependencyCycleError" in kind:
            kind = "cycle"
        message = text or f"it failed with {kind} and said nothing more"
        class_type = str(data.get("node_type") or "")
        self.errors = (Problem(message, kind, self._failed, class_type or None),)

    def _label(self, node_id: str) -> str:
        node = self._graph.get(node_id)
        return f"{node_id} {node.class_type}" if node else node_id


def refusal(error: object, node_errors: object) -> list[Problem]:
    """ComfyUI's answer to a prompt that it refuses, as problems; at least one."""
    problems = []
    for node_id, entry in node_errors.items() if isinstance(node_errors, Mapping) else ():
        details = entry.get("errors") if isinstance(entry, Mapping) else None
        class_type = entry.get("class_type") if isinstance(entry, Mapping) else None
        for each in details if isinstance(details, list) else ():
            problems.append(
                Problem(_sentence(each), _kind(each), str(node_id), str(class_type or "") or None)
            )
    if problems:
        return list(_distinct(problems))
    return [Problem(_sentence(error), _kind(error))]


def _distinct(problems: Iterable[Problem]) -> dict[Problem, None]:
    return dict.fromkeys(problems)


def _sentence(error: object) -> str:
    if not isinstance(error, Mapping):
        return " ".join(str(error).split()) or "ComfyUI refused the workflow without a reason"
    message, details = (" ".join(str(error.get(n) or "").split()) for n in ("message", "details"))
    return f"{message}: {details}" if details else message


def _kind(error: object) -> str:
    return str(error.get("type") or "refused") if isinstance(error, Mapping) else "refused"
