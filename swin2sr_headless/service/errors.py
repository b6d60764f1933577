"""What a request ends with that is not answered with a picture: RFC 9457's problem documents."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from swin2sr_core.sentences import changed, glossary, sentence


class Problem(Exception):
    """An HTTP status, a name for programs, a sentence for people, and seconds to wait, if any."""

    def __init__(self, status: int, kind: str, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.retry_after = retry_after

    def to_dict(self) -> dict[str, object]:
        """The document: type, title, status, detail, and how other languages can word it."""
        return {
            "type": f"urn:swin2sr:{self.kind}",
            "title": HTTPStatus(self.status).phrase if self.status != 499 else "Cancelled",
            "status": self.status,
            "detail": self.detail,
            "words": glossary(self.detail),
        }


def no_room() -> Problem:
    """The disk, or what the spool may have of it, is full."""
    text = sentence("serve_no_room", "no room for the picture; try again later")
    return Problem(503, "spool-full", text, 30)


def without_paths(text: str, *paths: str) -> str:
    """A sentence of the core's without where our files lie."""

    def without(text: str) -> str:
        for path in paths:
            text = text.replace(path, "the picture").replace(Path(path).name, "the picture")
        return sentence("the_picture", "the picture") if text == "the picture" else text

    return changed(text, without)
