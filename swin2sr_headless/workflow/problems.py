"""What can be wrong with a workflow or its host, as sentences and as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swin2sr_core.errors import InputError, Swin2SRError, harmless

REFUSED = 2
NO_HOST = 3


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: in a node, where that is known.

    `kind` is for programs: "cycle", "unknown_class", "missing_input", ..., or an exception's class.
    """

    message: str
    kind: str
    node: str | None = None
    class_type: str | None = None

    def __str__(self) -> str:
        if self.node is None:
            return harmless(self.message)
        name = f" ({self.class_type})" if self.class_type else ""
        return harmless(f"node {self.node}{name}: {self.message}")

    def to_dict(self) -> dict[str, object]:
        """The node's id and class, the kind and the sentence."""
        return {
            "node": self.node,
            "class_type": self.class_type,
            "kind": self.kind,
            "message": self.message,
        }


class WorkflowError(InputError):
    """A workflow was refused before anything ran; `problems` says why, node by node."""

    exit_code = REFUSED

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        more = len(self.problems) - 1
        super().__init__(f"{self.problems[0]}" + (f" (and {more} more)" if more else ""))

    @classmethod
    def of(
        cls, message: str, kind: str, node: str | None = None, class_type: str | None = None
    ) -> WorkflowError:
        """With one problem."""
        return cls([Problem(message, kind, node, class_type)])


class HostError(Swin2SRError):
    """What should run the workflow cannot be started, cannot be reached, or has died.

    `prompt_id` is what a server calls the run that was lost with it, if there was one.
    """

    exit_code = NO_HOST
    prompt_id: str | None = None
