"""A file on its way: `NAME.part`, and `NAME.part.json` that says of which version it is a part."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from ..temporary import open_kept


class PartFile:
    """The bytes of a download so far, and what a server needs to know to send the rest."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")
        self.url = url

    def size(self) -> int:
        """Bytes that are there; 0 where there is no file, or a link in its place."""
        return self.path.stat().st_size if self.path.is_file() and not self.path.is_symlink() else 0

    def resume_headers(self) -> dict[str, str]:
        """Range and If-Range for the missing rest; {} where only a fresh start is safe.

        Safe means: the bytes came from the same URL, and the server named their version.
        """
        size, validator = self.size(), self._noted().get("validator")
        if not size or not isinstance(validator, str):
            return {}
        return {"Range": f"bytes={size}-", "If-Range": validator}

    def total(self) -> int | None:
        """Bytes that the whole file has, as the first reply told; None where it did not."""
        total = self._noted().get("total")
        return total if isinstance(total, int) else None

    def begin(self, headers: Mapping[str, str], total: int | None) -> None:
        """Empties the file for another version, `total` bytes long; `headers` are its reply's."""
        # In this order a crash in between leaves an empty part, never old bytes under a new note.
        open_kept(self.path, "wb").close()
        note = {"url": self.url, "validator": _strong_validator(headers), "total": total}
        with open_kept(self.note, "wb") as file:
            file.write(json.dumps(note).encode())

    def open(self) -> BinaryIO:
        """The file, open for adding bytes at its end."""
        return open_kept(self.path, "ab")

    def discard(self) -> None:
        """Removes the bytes and the note."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def become(self, target: Path) -> None:
        """Gives the whole file its name, over whatever had it, and removes the note."""
        self.path.replace(target)
        self.note.unlink(missing_ok=True)

    def _noted(self) -> dict[str, object]:
        """The note, if it is sound and of this URL; else nothing."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return note if isinstance(note, dict) and note.get("url") == self.url else {}


def _strong_validator(headers: Mapping[str, str]) -> str | None:
    """What If-Range may carry (RFC 9110, 13.1.5): a strong ETag, else the last change's date."""
    etag = headers.get("etag")
    return etag if etag and not etag.startswith("W/") else headers.get("last-modified")
