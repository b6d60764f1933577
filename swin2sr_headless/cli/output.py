"""What the command writes where: results to standard output, all else to standard error."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TextIO

from swin2sr_core.errors import harmless

if TYPE_CHECKING:
    from tqdm import tqdm

    from ..failures import Failure

PROGRAM = "swin2sr"

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} left{postfix}"
_BYTES_BAR = "{desc}: {n_fmt}/{total_fmt} |{bar}| {rate_fmt}, {remaining} left"


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it has to tell with --json (None: help and the like)."""

    exit_code: int
    document: dict[str, object] | None


class Bar:
    """A progress bar with the time left, or nothing where nobody would see it."""

    def __init__(self, bar: tqdm[NoReturn]) -> None:
        self._bar = bar

    def to(self, done: float, total: float = 0) -> None:
        """Move to `done`; `total`, if not 0, replaces what was expected."""
        if total:
            self._bar.total = total
        self._bar.update(max(0, done - self._bar.n))

    def tell(self, text: str) -> None:
        """Show a few words behind the bar."""
        self._bar.set_postfix_str(harmless(text, 100), refresh=False)


class Console:
    """The command's voice. `json` tells that standard output belongs to one JSON object.

    With `lines` it is one object for each picture, on a line of its own, as they are finished.
    With `quiet_output` standard output belongs to a picture, and results go to standard error.
    `words` is the command line that it speaks for; `told` the last error's sentence, `failure` and
    `raised` what it was, where an exception was explained.
    """

    def __init__(
        self,
        json: bool = False,
        progress: bool = False,
        lines: bool = False,
        words: Sequence[str] = (),
    ) -> None:
        self.words = words
        self.told = ""
        self.failure: Failure | None = None
        self.raised: BaseException | None = None
        self.json = json or lines
        self.lines = lines
        self.progress = progress
        self.quiet_output = False
        self._warnings: list[str] = []
        self._about: tuple[str, ...] = ()
        self._looking = False
        self._listed = 0

    def show(self, text: str) -> None:
        """A result for people; with --json the document has it already."""
        if not self.json:
            _write(sys.stderr if self.quiet_output else sys.stdout, text)

    def note(self, text: str) -> None:
        """Something on the way that is no result."""
        _write(sys.stderr, text)

    def error(self, sentence: str) -> None:
        self.told = sentence
        self.note(f"{PROGRAM}: error: {sentence}")

    def finish(self, document: dict[str, object]) -> None:
        """The one JSON object, if it was asked for; of lines only where there were none."""
        if self.lines:
            if not self._listed:
                self.line(document)
        elif self.json:
            # ASCII only: it must survive any terminal's encoding and any file name
            _write(sys.stdout, json.dumps(document, indent=2))

    def line(self, document: dict[str, object]) -> None:
        """One picture's JSON object, where they are wanted line by line."""
        if self.lines:
            self._listed += 1
            _write(sys.stdout, json.dumps(document))

    @contextmanager
    def about(self, *names: str) -> Iterator[None]:
        """A block that works on one picture: warnings in it that name none of `names` get one."""
        before, self._about = self._about, names
        try:
            yield
        finally:
            self._about = before

    @contextmanager
    def before_the_work(self) -> Iterator[None]:
        """A block that only looks: its warnings come again with the work, and are told then."""
        before, self._looking = self._looking, True
        try:
            yield
        finally:
            self._looking = before

    def take_warnings(self) -> list[str]:
        """What the core has warned of since the last call."""
        taken, self._warnings = self._warnings, []
        return taken

    def _warned(self, text: str) -> str | None:
        """Remember a warning, with the name of its picture; None where it is not to be told."""
        if self._looking:
            return None
        if self._about and not any(name in text for name in self._about):
            text = f"{self._about[0]}: {text}"
        self._warnings.append(text)
        return text

    @contextmanager
    def bar(self, label: str, total: float | None, *, of_bytes: bool = False) -> Iterator[Bar]:
        """A bar on standard error: on a terminal, or where --progress asks for it."""
        from tqdm import tqdm

        with tqdm(
            desc=harmless(label, 100),
            total=total,
            file=sys.stderr,
            disable=not (self.progress or sys.stderr.isatty()),
            leave=False,
            dynamic_ncols=True,
            unit="B" if of_bytes else "it",
            unit_scale=of_bytes,
            unit_divisor=1024,
            bar_format=_BYTES_BAR if of_bytes else _BAR,
        ) as bar:
            yield Bar(bar)

    @contextmanager
    def warnings_shown(self) -> Iterator[None]:
        """Send the core's logged warnings to standard error, as lines of this command."""
        logger, handler = logging.getLogger("swin2sr_core"), _WarningLines(self._warned)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)


class _WarningLines(logging.Handler):
    """Log records as lines that do not tear a progress bar."""

    def __init__(self, told: Callable[[str], str | None]) -> None:
        """`told` hears every message, and gives it back as it is to be shown, if it is."""
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        if (text := self._told(record.getMessage())) is not None:
            line = f"{PROGRAM}: {record.levelname.lower()}: {harmless(text, 4000)}"
            tqdm.write(_printable(line, sys.stderr), file=sys.stderr)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines of aligned columns; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(_printable(text, stream) + "\n")
        stream.flush()
    except BrokenPipeError:
        # The reader has left, as `| head` does: no reason to leave pictures undone. What is still
        # to be said goes nowhere, and Python's own flush at the end has nothing to complain of.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _printable(text: str, stream: TextIO) -> str:
    """The text with escapes for what the stream's encoding lacks, or what moves cursors.

    Names and texts of files and servers may hold anything.
    """
    encoding = stream.encoding or "utf-8"
    shown = text if text.isprintable() else "".join(map(_escaped, text))
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def _escaped(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return character.encode("unicode_escape").decode("ascii")
