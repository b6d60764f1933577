"""What every host of workflows does: the interface, and what goes in and comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ..document.definitions import Definitions
from ..document.graph import Graph
from ..problems import Problem
from ..report import NodeRun, OutputFile
from ..watch import Watch

Progress = Callable[[str, float, float], None]
"""(what is being done, how much is done, of how much)."""


@dataclass(frozen=True)
class Job:
    """One run: a graph, and where its files are.

    inputs: files by the names that the graph has for them. `out` is where outputs go; previews
    go into `out/temp`. `page` becomes the outputs' `workflow` metadata.

    For servers: `extra` goes with the prompt as its `extra_data`, `resume` is the id of a prompt
    that is there already, `rerun` says that nothing kept from earlier runs will do, and `queued` is
    told the id as soon as there is one.
    """

    graph: Graph
    out: Path
    inputs: Mapping[str, Path] = field(default_factory=dict)
    page: Mapping[str, object] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
    resume: str | None = None
    rerun: bool = False
    queued: Callable[[str], None] | None = None

    def with_graph(self, graph: Graph) -> Job:
        """The same with another graph."""
        return replace(self, graph=graph)


@dataclass(frozen=True)
class Result:
    """What a host has to tell about a run; `status` is one of Report's.

    `prompt_id` is what a server calls the run.
    """

    status: str
    nodes: tuple[NodeRun, ...] = ()
    outputs: tuple[OutputFile, ...] = ()
    texts: dict[str, list[str]] = field(default_factory=dict)
    errors: tuple[Problem, ...] = ()
    prompt_id: str | None = None


class Host(Protocol):
    """Something that runs workflows. It keeps what it has loaded until it is closed."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def input_folder(self) -> Path | None:
        """Where inputs are looked for that the caller does not give, if it is on this machine."""
        ...

    def definitions(self, watch: Watch | None = None) -> Definitions:
        """The node classes there are. Raises HostError, also where `watch` says that it is over."""
        ...

    def explain_unknown(self, class_type: str) -> str:
        """The sentence for a class that is not among them."""
        ...

    def run(self, job: Job, watch: Watch, progress: Progress | None = None) -> Result:
        """Check the graph by the host's own rules, then run it.

        Raises WorkflowError where the graph is refused, HostError where the host is gone.
        """
        ...

    def close(self) -> None:
        """Let go of everything; the host can't be used afterwards."""
        ...


def texts_of(shown: Mapping[str, Mapping[str, object]]) -> dict[str, list[str]]:
    """What nodes show that is text, by node."""
    texts = {}
    for node, entries in shown.items():
        lines = entries.get("text")
        if isinstance(lines, (list, tuple)) and lines:
            texts[node] = [str(line) for line in lines]
    return texts


def files_of(shown: Mapping[str, Mapping[str, object]]) -> list[tuple[str, Mapping[str, object]]]:
    """(node, entry) of every file that nodes show, whatever kind of file it is."""
    return [
        (node, item)
        for node, entries in shown.items()
        for items in entries.values()
        if isinstance(items, (list, tuple))
        for item in items
        if isinstance(item, dict) and isinstance(item.get("filename"), str)
    ]
