"""How a command tells a failure: one sentence on standard error, and an exit code."""

from __future__ import annotations

import traceback
from dataclasses import replace

from ..failures import Failure, debugging, explain
from .output import Console, Outcome


def report(error: BaseException, console: Console, about: str = "") -> Failure:
    """Explain an exception on standard error, with its traceback under SWIN2SR_DEBUG=1.

    about: the name of the picture, where the sentence does not say which one of many it was.
    """
    failure = _in_words_of_the_command(explain(error))
    if debugging():
        console.note("".join(traceback.format_exception(error)).rstrip())
    missing = about and about not in failure.sentence
    console.error(f"{about}: {failure.sentence}" if missing else failure.sentence)
    return failure


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
