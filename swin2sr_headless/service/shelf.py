"""The models of a worker: what was used least recently leaves when bytes are short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from torch import nn

from swin2sr_core.export.session import OnnxSession
from swin2sr_core.models.model import Model


class Shelf:
    """Counts by forecasts: weights that are loaded, and what the pictures at work take besides.

    most: bytes for both together; None: as many as there are. `load` makes a model by its name.
    """

    def __init__(self, load: Callable[[str], Model]) -> None:
        self.most: int | None = None
        self._load = load
        self._models: dict[str, Model] = {}  # the most recently used is the last
        self._users: Counter[str] = Counter()
        self._needed = 0
        self._lock = Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """What is loaded, the least recently used first."""
        return tuple(self._models)

    @property
    def weight_bytes(self) -> int:
        """Of all that are loaded."""
        return sum(weight_bytes(model) for model in self._models.values())

    @contextmanager
    def model(self, name: str, needed: int = 0) -> Iterator[Model]:
        """One to use, which stays for so long; `needed`: bytes that its picture takes besides.

        Raises what loading it raises.
        """
        with self._lock:
            self._users[name] += 1
            self._needed += needed
            try:
                model = self._models.pop(name, None) or self._load(name)
                self._models[name] = model
                self._make_room()
            except BaseException:
                self._leave(name, needed)
                raise
        try:
            yield model
        finally:
            with self._lock:
                self._leave(name, needed)

    def _leave(self, name: str, needed: int) -> None:
        self._users[name] -= 1
        self._needed -= needed

    def _make_room(self) -> None:
        for name in list(self._models):
            if self.most is None or self.weight_bytes + self._needed <= self.most:
                return
            if not self._users[name]:
                del self._models[name]


def weight_bytes(model: Model) -> int:
    """What it holds on its device and in host memory; of an exported file about its size."""
    if isinstance(model.network, OnnxSession):
        return model.network.weight_bytes
    networks = [model.network, model.source.network if model.source else None]
    modules = [each for each in networks if isinstance(each, nn.Module)]
    tensors = (t for module in modules for t in (*module.parameters(), *module.buffers()))
    return sum({t.data_ptr(): t.numel() * t.element_size() for t in tensors}.values())
