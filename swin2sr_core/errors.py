"""The errors of the project: one family; a caller catches `Swin2SRError` and prints its sentence.

Every message says what came, what was expected and what to do. `exit_code` is what the command
line ends with: 1 failed while running, 2 bad arguments or input, 3 could not start,
130 interrupted.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from .sentences import sentence

if TYPE_CHECKING:
    from typing_extensions import Self

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class Swin2SRError(Exception):
    """Something went wrong that the text explains to a user; the base of all errors raised here."""

    exit_code = 1

    @classmethod
    def saying(cls, key: str, template: str, /, **values: object) -> Self:
        """The error whose text is that sentence (see `sentences.sentence`)."""
        return cls(sentence(key, template, **values))


class InputError(Swin2SRError):
    """An argument or an input file is not what was expected.

    `beyond_limit`: it may be all right, but is more than a limit or the memory lets in.
    """

    exit_code = 2

    def __init__(self, text: str, *, beyond_limit: bool = False) -> None:
        super().__init__(text)
        self.beyond_limit = beyond_limit


class CheckpointError(InputError):
    """A model file is damaged, unsafe, or holds another architecture."""


class BudgetError(InputError):
    """No plan fits into the memory budget; the text names the smallest budget that works.

    `least_bytes` is that budget, None where no plan was looked for.
    """

    def __init__(self, text: str, least_bytes: int | None = None) -> None:
        super().__init__(text, beyond_limit=True)
        self.least_bytes = least_bytes


class OutOfMemoryError(Swin2SRError):
    """Memory ran out, and there was no smaller way to go on."""


class OutputExistsError(InputError):
    """The output file is there already and may not be overwritten."""


class ModelNotFoundError(Swin2SRError):
    """No model of that name or path can be had."""

    exit_code = 3


class DeviceError(Swin2SRError):
    """The asked-for device or precision does not exist on this machine."""

    exit_code = 3


class DownloadError(Swin2SRError):
    """A checkpoint could not be downloaded whole and unchanged."""

    exit_code = 3


class Interrupted(Swin2SRError):
    """`should_stop()` answered true: the work ended early, on request."""

    exit_code = 130


class NonFiniteError(Swin2SRError):
    """The network gave NaN or infinite values, in every type that was tried."""


def disk_is_full(error: BaseException | None) -> bool:
    """Whether it was raised, by whatever way, because a disk or a quota is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__
    return False


def harmless(text: object, most: int = 2000) -> str:
    """A stranger's text (of a file, a server) as it may reach a terminal or a log.

    Control characters, which move cursors, rename windows or forge lines, and halves of characters
    become question marks; lines stay lines only as spaces. What is longer than `most` is cut.
    """
    words = str(text)
    cut = words if len(words) <= most else words[:most] + "..."
    return "".join(_harmless(each) for each in cut)


def _harmless(character: str) -> str:
    if character in "\t\n\r":
        return " "
    return character if character.isprintable() else "?"
