"""How a command tells a failure: one sentence on standard error, and an exit code."""

from __future__ import annotations

import traceback
from dataclasses import replace

from ..diagnosis.last_error import remember
from ..failures import INTERRUPTED, Failure, debugging, explain
from .output import Console, Outcome

_NOT_REMEMBERED = ("UsageError", "Interrupted", "OutputExistsError")
"""The user's own doing: these would hide the failure that a bug report is about."""


def report(error: BaseException, console: Console, about: str = "") -> Failure:
    """Explain an exception on standard error, with its traceback under SWIN2SR_DEBUG=1.

    about: the name of the picture, where the sentence does not say which one of many it was.
    """
    failure = _in_words_of_the_command(explain(error))
    console.failure, console.raised = failure, error
    if debugging():
        console.note("".join(traceback.format_exception(error)).rstrip())
    missing = about and about not in failure.sentence
    console.error(f"{about}: {failure.sentence}" if missing else failure.sentence)
    return failure


def keep_for_report(outcome: Outcome, console: Console) -> None:
    """Remember a command that failed for `swin2sr report`, if it has told why."""
    command = console.words[0] if console.words else ""
    if outcome.exit_code in (0, INTERRUPTED) or command in ("doctor", "report"):
        return
    failure = console.failure
    if failure is None and console.told:
        failure = Failure(console.told, "told", outcome.exit_code)
    if failure is not None and failure.kind not in _NOT_REMEMBERED:
        remember(failure, console.words, console.raised)


def _in_words_of_the_command(failure: Failure) -> Failure:
    """The core names its arguments; here they are options."""
    return replace(failure, sentence=failure.sentence.replace("(max_pixels)", "(--max-pixels)"))


def outcome_of(failure: Failure, console: Console, command: str) -> Outcome:
    """What a command ends with that has nothing else to tell."""
    from ..workflow.early_end import COMMANDS, early_end

    if command in COMMANDS:
        document = early_end(command, failure)
        console.line({"event": "report", **document})
        return Outcome(failure.exit_code, document)
    return Outcome(failure.exit_code, failure.to_dict() | {"exit_code": failure.exit_code})
