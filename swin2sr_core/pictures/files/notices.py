"""What a reader or writer of pictures has to tell: logged once, and kept as values."""

from __future__ import annotations

import logging
from pathlib import Path

logger = logging.getLogger(__name__)


class Notices:
    """Sentences about one file, each of them once and with its name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: list[str] = []

    def tell(self, sentence: str) -> None:
        """Add and log a sentence, which goes on from the file's name: "has 3 pages; ..."."""
        self.say(f"{self._name} {sentence}")

    def say(self, text: str) -> None:
        """Add and log a whole sentence, which names the file by itself."""
        if text not in self._told:
            self._told.append(text)
            logger.warning("%s", text)

    @property
    def file_name(self) -> str:
        return Path(self._name).name

    @property
    def told(self) -> tuple[str, ...]:
        return tuple(self._told)
