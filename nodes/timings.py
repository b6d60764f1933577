"""How long runs took here, kept in ComfyUI's user folder; see `engine.timings` of the core."""

from __future__ import annotations

from ..swin2sr_core.engine.timings import SHORTEST, Estimate, Kind, Timings
from . import host

__all__ = ["Estimate", "Kind", "estimate", "learn", "version"]

_SHORTEST = SHORTEST


def learn(kind: Kind, work: int, seconds: float) -> None:
    """Remember a run that went as planned."""
    _timings().learn(kind, work, seconds, _SHORTEST)


def estimate(kind: Kind, work: int) -> Estimate | None:
    """Seconds for `work` floating-point operations; None while nothing similar has ever run."""
    return _timings().estimate(kind, work)


def version() -> int:
    """Changes whenever something was learnt."""
    return _timings().version()


def _timings() -> Timings:
    return Timings(host.user_folder() / "swin2sr" / "timings.json")
