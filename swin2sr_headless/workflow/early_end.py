"""What a command about workflows tells where it ends before it has begun: the usual shape."""

from __future__ import annotations

from ..failures import Failure
from .conversion import document_of
from .problems import Problem
from .report import EXIT_CODES, Report

COMMANDS = ("run", "convert")
"""The commands whose outcomes have this shape."""


def early_end(command: str, failure: Failure) -> dict[str, object]:
    """The document of such a command, with the failure as its only error."""
    by_code = {code: status for status, code in EXIT_CODES.items()}
    status = by_code.get(failure.exit_code, "failed")
    problem = Problem(failure.sentence, failure.kind)
    if command == "convert":
        return document_of(status, [], 0.0, [problem])
    return Report(status, "none", 0.0, errors=(problem,)).to_dict()
