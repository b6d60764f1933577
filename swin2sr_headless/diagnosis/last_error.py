"""The last failure of a command on this machine, kept for `swin2sr report`: without private words.

It lies in the user's cache folder, as `last_error.json`, and leaves the machine only by the user's
own hand.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from swin2sr_core import __version__
from swin2sr_core.machine.cache_folder import cache_dir
from swin2sr_core.temporary import replacing

from ..failures import Failure
from .privacy import scrubbed

logger = logging.getLogger("swin2sr_core.last_error")

_FRAMES = 12
_PACKAGES = ("swin2sr_core", "swin2sr_headless", "swin2sr_pack", "nodes", "site-packages")


def remember(failure: Failure, words: Sequence[str], error: BaseException | None = None) -> None:
    """Keep a failure of the command line `words`; where that cannot be written, it is not kept."""
    folder = cache_dir()
    if folder is None:
        return
    document = {
        "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        "version": __version__,
        "command": _options_alone(words),
        "kind": failure.kind,
        "exit_code": failure.exit_code,
        "error": scrubbed(failure.sentence, words[1:]),
        "where": [] if error is None else _frames(error),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "last_error.json") as file:
            file.write(json.dumps(document).encode())
    except OSError as problem:
        logger.debug("the last error is not remembered: %s", problem)


def last_error() -> dict[str, object] | None:
    """What was kept; None where nothing was, or it is not readable."""
    folder = cache_dir()
    try:
        document = json.loads((folder / "last_error.json").read_bytes()) if folder else None
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _options_alone(words: Sequence[str]) -> str:
    """The command and the names of its options: values may be private."""
    options = (word.partition("=")[0] for word in words[1:] if word[:2] == "--" and word != "--")
    short = (word[:2] for word in words[1:] if word[:1] == "-" and word[1:2].isalpha())
    return " ".join([*words[:1], *options, *short])


def _frames(error: BaseException) -> list[str]:
    """Where it was raised, innermost last, as module files and lines."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{_within_package(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]


def _within_package(file: str) -> str:
    parts = Path(file).parts
    for at, part in enumerate(parts):
        if part in _PACKAGES and at < len(parts) - 1:
            kept = parts[at + 1 :] if part == "site-packages" else parts[at:]
            return "/".join(kept)
    return Path(file).name
