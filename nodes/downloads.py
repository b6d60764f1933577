"""Downloads of official checkpoints: started by a run or by the page, and watched by every page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..swin2sr_core.errors import DownloadError, Interrupted
from ..swin2sr_core.models.catalog import CatalogEntry
from ..swin2sr_core.models.download import download
from . import events, host

logger = logging.getLogger(__name__)

_TELL_SECONDS = 0.25


@dataclass(frozen=True)
class State:
    """How far a download is: `phase` is absent, running, checking, done, stopped or failed.

    `done` and `total` are bytes, `total` 0 while unknown; `pace` is bytes per second. `checked`
    tells what the file's sha256 was compared with: "catalog", or "record" where nobody has
    published one and the first download wrote down what came.
    """

    model: str
    phase: str = "absent"
    done: int = 0
    total: int = 0
    pace: float = 0.0
    checked: str = ""
    message: str = ""


_lock = threading.Lock()
_states: dict[str, State] = {}
_stops: dict[str, threading.Event] = {}
"""By model: the button's way to the thread that it started."""


def state_of(model: str) -> dict[str, object]:
    """The state of that model's download, for JSON."""
    return asdict(_states.get(model, State(model)))


def fetch(
    entry: CatalogEntry,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Path:
    """Download an entry into ComfyUI's models/swin2sr, and tell every page how it goes.

    Raises DownloadError, and Interrupted where `should_stop()` was true.
    """
    watch = _Watch(entry, progress)
    try:
        path = download(entry, host.download_folder(), watch.advance, should_stop)
    except Interrupted:
        watch.tell("stopped")
        raise
    except DownloadError as error:
        watch.tell("failed", message=str(error))
        raise
    except BaseException:
        watch.tell("stopped")  # ComfyUI's own interruption, through `progress`
        raise
    watch.tell("done", checked="catalog" if entry.sha256 else "record")
    return path


def start(entry: CatalogEntry) -> bool:
    """Download on a thread of its own; False where the page's download of it runs already."""
    with _lock:
        if entry.name in _stops:
            return False
        stop = _stops[entry.name] = threading.Event()
    thread = threading.Thread(
        target=_work, args=(entry, stop), name=f"swin2sr-download-{entry.name}", daemon=True
    )
    thread.start()
    return True


def stop(model: str) -> bool:
    """Stop what `start` began; what has arrived is kept. False where nothing was running."""
    event = _stops.get(model)
    if event is not None:
        event.set()
    return event is not None


def _work(entry: CatalogEntry, stop: threading.Event) -> None:
    try:
        fetch(entry, None, stop.is_set)
    except (DownloadError, Interrupted) as error:
        logger.info("%s", error)
    finally:
        with _lock:
            del _stops[entry.name]


class _Watch:
    """Turns a download's calls into states, a few a second."""

    def __init__(self, entry: CatalogEntry, progress: Callable[[int, int], None] | None) -> None:
        self._progress = progress
        self._started = time.monotonic()
        self._first: int | None = None
        self._next = 0.0
        self._state = State(entry.name, "running", total=entry.size or entry.rough_size or 0)
        self.tell("running")

    def advance(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)
        now = time.monotonic()
        self._first = done if self._first is None else self._first
        whole = 0 < total <= done
        if now < self._next and not whole:
            return
        self._next = now + _TELL_SECONDS
        pace = (done - self._first) / max(now - self._started, 1e-3)
        self._state = replace(self._state, done=done, total=total, pace=round(pace))
        self.tell("checking" if whole else "running")

    def tell(self, phase: str, checked: str = "", message: str = "") -> None:
        state = replace(self._state, phase=phase, checked=checked, message=message)
        self._state = _states[state.model] = state
        events.tell(events.DOWNLOAD_EVENT, events.worded(asdict(state)), everybody=True)
