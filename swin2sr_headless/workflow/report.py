"""What came of a run: for people as lines, for programs as JSON."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from .problems import Problem

EXIT_CODES = {
    "done": 0,
    "failed": 1,
    "refused": 2,
    "no_host": 3,
    "timeout": 124,
    "interrupted": 130,
}
"""Every status, and the command's exit code for it."""


@dataclass(frozen=True)
class NodeRun:
    """What a node did: "ran", "cached", "failed" or "skipped"; `seconds` is None where unknown."""

    id: str
    class_type: str
    state: str
    seconds: float | None = None

    def to_dict(self) -> dict[str, object]:
        """JSON-able."""
        seconds = None if self.seconds is None else round(self.seconds, 4)
        return {
            "id": self.id,
            "class_type": self.class_type,
            "state": self.state,
            "seconds": seconds,
        }


@dataclass(frozen=True)
class OutputFile:
    """A file that a node wrote. `kind` is "output", or "temp" for previews."""

    path: Path
    node: str
    kind: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path, node: str, kind: str) -> OutputFile:
        """Measure a file. Raises OSError."""
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
            return cls(path, node, kind, file.tell(), digest.hexdigest())

    def to_dict(self) -> dict[str, object]:
        """JSON-able."""
        return {
            "path": str(self.path),
            "node": self.node,
            "type": self.kind,
            "size": self.size,
            "sha256": self.sha256,
        }


@dataclass(frozen=True)
class Report:
    """How a workflow went. `status` is a key of EXIT_CODES; `texts` are what nodes show, by node.

    `errors` has the problems of a run that was refused, or the one node that failed. `prompt_id` is
    what a server calls the run.
    """

    status: str
    host: str
    seconds: float
    nodes: tuple[NodeRun, ...] = ()
    outputs: tuple[OutputFile, ...] = ()
    texts: dict[str, list[str]] = field(default_factory=dict)
    errors: tuple[Problem, ...] = ()
    prompt_id: str | None = None

    @property
    def ok(self) -> bool:
        return self.status == "done"

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    @property
    def ran(self) -> set[str]:
        """The ids of the nodes that ran."""
        return {node.id for node in self.nodes if node.state == "ran"}

    @property
    def cached(self) -> set[str]:
        """The ids of the nodes whose results were there already."""
        return {node.id for node in self.nodes if node.state == "cached"}

    @property
    def files(self) -> list[Path]:
        """The written files, previews left out."""
        return [each.path for each in self.outputs if each.kind == "output"]

    def to_dict(self) -> dict[str, object]:
        """JSON-able."""
        return {
            "status": self.status,
            "exit_code": self.exit_code,
            "host": self.host,
            "prompt_id": self.prompt_id,
            "seconds": round(self.seconds, 3),
            "nodes": [node.to_dict() for node in self.nodes],
            "outputs": [output.to_dict() for output in self.outputs],
            "texts": self.texts,
            "errors": [error.to_dict() for error in self.errors],
        }

    def __str__(self) -> str:
        lines = [f"{node.id} {node.class_type}: {_state(node)}" for node in self.nodes]
        lines += [f"{each.path} ({each.size:,} bytes)" for each in self.outputs]
        lines += [str(error) for error in self.errors]
        return "\n".join([*lines, f"{self.status}, {self.seconds:.2f} s, {self.host}"])


def _state(node: NodeRun) -> str:
    return node.state if node.seconds is None else f"{node.state}, {node.seconds:.2f} s"
