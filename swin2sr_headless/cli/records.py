"""What this command has made, by folder: so that outputs are known again, and batches go on.

One file of JSON lines for each folder of outputs, in the user's cache folder:

    {"begin": "a_x4.png"}                                      an output is about to be written
    {"ended": "a_x4.png"}                                      it failed, and nothing of it is left
    {"made": "a_x4.png", "size": .., "modified": ..,           it lies there whole
     "source": "/.../a.png", "version": {...}, "how": "9f2c.."}

Why not a journal among the outputs, as `workflow/journal.py` keeps one: people point this command
at their own photographs, and nothing but pictures belongs there. Why not a mark inside of the
pictures: BMP has no place for one, and whoever strips metadata would lose it. Where the cache is
gone, names and sizes still tell most of it (`own_outputs.py`, `resuming.py`).

A line is written through to the disk before anything depends on it. A process that is killed leaves
a torn last line at most, which is skipped, and a "begin" without its "made": an output that may be
made again, as this command has written it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swin2sr_core.machine.cache_folder import cache_dir
from swin2sr_core.temporary import open_kept

from ..workflow.journal import version

logger = logging.getLogger("swin2sr_core.records")


@dataclass(frozen=True)
class Made:
    """A file as it was when it was finished, and what it was made of and how."""

    state: Mapping[str, object]
    source: str
    source_state: Mapping[str, object]
    how: str


@dataclass
class _Folder:
    path: Path
    made: dict[str, Made] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    torn: bool = False


class Records:
    """Remembers files by their names. A cache that cannot be written is told once, no more."""

    def __init__(self, remember: bool = True) -> None:
        """`remember`: False for what is not to be found again, as pictures in a pipe."""
        self._cache = cache_dir() if remember else None
        self._folders: dict[Path, _Folder] = {}
        self._told = False

    def made(self, path: Path) -> Made | None:
        """How a file was made, if it is still what this command has written."""
        known = self._of(path).made.get(path.name)
        return known if known is not None and _state(path) == known.state else None

    def begun(self, path: Path) -> bool:
        """Whether this command was at work on a file when it was killed, or has made another."""
        folder = self._of(path)
        return path.name in folder.begun or path.name in folder.made

    def begin(self, path: Path) -> None:
        """A file is about to be written that is not there, or may be replaced."""
        self._write(path, {"begin": path.name})

    def give_up(self, path: Path) -> None:
        """A file was not written after all, and nothing of it is left."""
        self._write(path, {"ended": path.name})

    def finish(
        self, path: Path, source: Path, source_state: Mapping[str, object], how: str
    ) -> None:
        """A file is written."""
        entry = {"made": path.name, **version(path), "source": str(source.absolute())}
        self._write(path, entry | {"version": dict(source_state), "how": how})

    # -- inside ----------------------------------------------------------------------------------

    def _of(self, path: Path) -> _Folder:
        place = path.parent.resolve()
        if place not in self._folders:
            self._folders[place] = self._read(place)
        return self._folders[place]

    def _read(self, place: Path) -> _Folder:
        digest = hashlib.sha256(os.fsencode(os.path.normcase(place))).hexdigest()[:24]
        name = f"{digest}.jsonl"
        folder = _Folder(Path(name) if self._cache is None else self._cache / "made" / name)
        try:
            content = b"" if self._cache is None else folder.path.read_bytes()
        except OSError:
            content = b""
        folder.torn = bool(content) and not content.endswith(b"\n")
        for line in content.splitlines():
            try:
                _take(folder, json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # torn by a kill, and what it was about counts as not made
        return folder

    def _write(self, path: Path, entry: dict[str, object]) -> None:
        folder = self._of(path)
        _take(folder, entry)
        if self._cache is None:
            return
        line = (b"\n" if folder.torn else b"") + json.dumps(entry).encode() + b"\n"
        try:
            folder.path.parent.mkdir(parents=True, exist_ok=True)
            with open_kept(folder.path, "ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            folder.torn = False
        except OSError as error:
            if not self._told:
                logger.warning(
                    "what is made is not remembered, so that --skip-existing has to go by names "
                    "and sizes: %s; set SWIN2SR_CACHE_DIR to a folder that can be written",
                    error,
                )
            self._told = True


def _take(folder: _Folder, entry: Mapping[str, object]) -> None:
    if "begin" in entry:
        name = str(entry["begin"])
        folder.begun.add(name)
        return
    if "ended" in entry:
        folder.begun.discard(str(entry["ended"]))
        return
    source_state = entry["version"]
    if not isinstance(source_state, dict):
        raise TypeError
    name = str(entry["made"])
    state = {"size": entry["size"], "modified": entry["modified"]}
    folder.made[name] = Made(state, str(entry["source"]), source_state, str(entry["how"]))
    folder.begun.discard(name)


def _state(path: Path) -> Mapping[str, object] | None:
    try:
        return version(path)
    except OSError:
        return None
