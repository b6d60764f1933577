"""A picture on its way to a worker: fetched, hashed, its size known; grouped by that size."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from swin2sr_core.models.checksums import sha256_of

from .places import Place, State
from .sources import Item

Size = tuple[int, int] | None


@dataclass(frozen=True)
class Staged:
    """An item whose picture lies on this machine; folder: what passes through here is in it."""

    item: Item
    path: Path
    folder: Path
    sha256: str
    state: State
    size: Size


def stage(item: Item, place: Place, state: State, folder: Path) -> Staged:
    """Fetch and look; the worker tells what is wrong with a picture that has no size."""
    folder.mkdir(exist_ok=True)
    path = place.fetch(item.source.name, folder)
    try:
        with Image.open(path) as image:
            size = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        size = None
    return Staged(item, path, folder, sha256_of(path), state, size)


@dataclass
class Waiting:
    """Staged pictures up to a number; a worker gets those of one size after each other.

    Equal sizes have equal plans, and what a device has set up for one serves the next.
    """

    room: int
    _staged: list[Staged] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _closed: bool = False

    async def put(self, staged: Staged) -> None:
        """Waits while there are enough."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._staged) < self.room)
            self._staged.append(staged)
            self._changed.notify_all()

    async def close(self) -> None:
        """No more will come."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def take(self, size: Size) -> Staged | None:
        """One of that size, else of the size that most have; None when there are no more."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._staged) or self._closed)
            if not self._staged:
                return None
            counted = Counter(each.size for each in self._staged)
            wanted = size if size in counted else counted.most_common(1)[0][0]
            taken = next(each for each in self._staged if each.size == wanted)
            self._staged.remove(taken)
            self._changed.notify_all()
            return taken
