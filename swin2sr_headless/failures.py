"""Whatever was raised, as one sentence and an exit code."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from swin2sr_core.errors import Swin2SRError
from swin2sr_core.machine.out_of_memory import is_out_of_memory
from swin2sr_core.sentences import changed

INTERRUPTED = 130
_ASKED = re.compile(r"tried to allocate (\d+) bytes")


@dataclass(frozen=True)
class Failure:
    """A failure for people (`sentence`, one line) and for programs (`kind`, `exit_code`)."""

    sentence: str
    kind: str
    exit_code: int

    def to_dict(self) -> dict[str, object]:
        return {"status": "error", "error": self.sentence, "error_type": self.kind}


def explain(error: BaseException) -> Failure:
    """Every exception as a failure; the project's own errors speak for themselves."""
    if isinstance(error, Swin2SRError):
        return Failure(changed(str(error), _one_line), type(error).__name__, error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted; nothing half-written is left", "Interrupted", INTERRUPTED)
    if is_out_of_memory(error):
        asked = _ASKED.search(str(error))
        size = f" ({int(asked[1]):,} bytes more were asked for)" if asked else ""
        return Failure(
            f"out of memory{size}: close other programs, or give a --max-memory under what is free",
            "MemoryError",
            1,
        )
    detail = _one_line(str(error)) or "no details"
    hint = "" if debugging() else "; set SWIN2SR_DEBUG=1 to see where"
    return Failure(f"unexpected {type(error).__name__}: {detail}{hint}", type(error).__name__, 1)


def debugging() -> bool:
    """Whether the user wants to see tracebacks and what libraries warn of."""
    return os.environ.get("SWIN2SR_DEBUG", "") not in ("", "0")


def _one_line(text: str) -> str:
    return " ".join(text.split())
