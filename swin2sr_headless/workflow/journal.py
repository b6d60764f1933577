"""A journal beside the outputs: which pictures of a folder are made, whatever happens meanwhile.

One JSON object per line, written through to the disk before anything depends on it:

    {"journal": 1, "workflow": "9f2c..."}                       what this is about
    {"begin": "a.png"}                                          work on a picture starts
    {"made": "a.png", "source": {...}, "files": [...]}          its outputs lie whole in the work
                                                                folder, and now get their names
    {"failed": "a.png", "error": "..."}                         it could not be made

A process that is killed leaves a torn last line at most, which is dropped, and files that still
have to get their names, which they get at the next start. So nothing that was made is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from swin2sr_core.temporary import open_kept

from .problems import WorkflowError
from .staging import remove

NAME = "swin2sr-journal.jsonl"
WORK = ".swin2sr-work"
_VERSION = 1


@dataclass(frozen=True)
class Made:
    """A picture that is made: the version of its source, and (work file, final name, size)."""

    source: Mapping[str, object]
    files: tuple[tuple[str, str, int], ...]


class Journal:
    """The journal in one folder for outputs, open for writing."""

    def __init__(self, folder: Path, workflow: str) -> None:
        """Open, or begin. `workflow` is a digest of what is done with every picture.

        Raises WorkflowError for a journal of another workflow and for a damaged one.
        """
        self._folder = folder
        self._path = folder / NAME
        self.made: dict[str, Made] = {}
        self.begun: dict[str, int] = {}
        self._known: set[tuple[str, int]] = set()
        whole = self._read(workflow)
        self._file: BinaryIO = open_kept(self._path, "r+b")
        self._file.truncate(whole)
        self._file.seek(whole)
        if not whole:
            self._write({"journal": _VERSION, "workflow": workflow})
        self._tidy()

    def close(self) -> None:
        self._file.close()

    def is_made(self, name: str, source: Path) -> bool:
        """Whether the outputs of this version of a picture are all there."""
        made = self.made.get(name)
        if made is None or dict(made.source) != version(source):
            return False
        return all(_size(self._folder / final) == size for _, final, size in made.files)

    def is_foreign(self, final: str) -> bool:
        """Whether a file of that name is there that this journal does not know as it is now."""
        size = _size(self._folder / final)
        return size is not None and (final, size) not in self._known

    def work_folder(self, name: str) -> Path:
        """Where a picture's outputs are made, before they have their names."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return self._folder / WORK / digest

    def begin(self, name: str) -> None:
        """Work on a picture starts."""
        self.begun[name] = self.begun.get(name, 0) + 1
        self._write({"begin": name})

    def finish(self, name: str, source: Mapping[str, object], files: Mapping[Path, str]) -> None:
        """A picture is made: give its files their names. `files`: work file -> final name."""
        entries = []
        for path, final in files.items():
            _flush(path)
            entries.append((str(path.relative_to(self._folder)), final, path.stat().st_size))
        self._write({"made": name, "source": source, "files": entries})
        self._remember(name, Made(source, tuple(entries)))
        self._name_files(self.made[name])

    def fail(self, name: str, error: str) -> None:
        """A picture can't be made."""
        self._write({"failed": name, "error": error})

    # -- inside ----------------------------------------------------------------------------------

    def _read(self, workflow: str) -> int:
        """Take in what is there; the length of the part that is whole."""
        try:
            content = b"" if self._path.is_symlink() else self._path.read_bytes()
        except FileNotFoundError:
            return 0
        whole = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:whole].splitlines(), 1):
            try:
                entry = json.loads(line)
                self._take(entry, number, workflow)
            except (ValueError, KeyError, TypeError, AttributeError):
                raise WorkflowError.of(
                    f"line {number} of the journal {self._path} is damaged; delete the journal to "
                    "start anew, or choose another --out",
                    "journal",
                ) from None
        return whole

    def _take(self, entry: dict[str, object], number: int, workflow: str) -> None:
        if number == 1:
            if entry["workflow"] != workflow or entry["journal"] != _VERSION:
                raise WorkflowError.of(
                    f"the journal {self._path} is of another workflow, or of other values; delete "
                    "it to start anew, or choose another --out",
                    "journal",
                )
        elif "made" in entry:
            source, files = entry["source"], entry["files"]
            if not isinstance(source, dict) or not isinstance(files, list):
                raise TypeError
            made = Made(source, tuple((str(a), str(b), int(c)) for a, b, c in files))
            self._remember(str(entry["made"]), made)
        elif "begin" in entry:
            name = str(entry["begin"])
            self.begun[name] = self.begun.get(name, 0) + 1

    def _remember(self, name: str, made: Made) -> None:
        self.made[name] = made
        self._known |= {(final, size) for _, final, size in made.files}

    def _write(self, entry: Mapping[str, object]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _tidy(self) -> None:
        """Give files their names that a process was killed over, and remove what is left."""
        for made in self.made.values():
            self._name_files(made)
        work = self._folder / WORK
        if work.is_symlink():
            work.unlink()  # what it leads to is somebody else's
        remove(work)

    def _name_files(self, made: Made) -> None:
        for work, final, size in made.files:
            source, target = self._folder / work, self._folder / final
            if _size(source) == size:
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)


def version(path: Path) -> dict[str, object]:
    """What changes when a file does."""
    stat = path.stat()
    return {"size": stat.st_size, "modified": stat.st_mtime_ns}


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _flush(path: Path) -> None:
    """Onto the disk: the journal may only speak of what is there."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
