"""How long pictures will take, as earlier runs of the command line have taught."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swin2sr_core.engine.timings import Kind, Timings
from swin2sr_core.machine.cache_folder import cache_dir

if TYPE_CHECKING:
    from swin2sr_core.models.model import Model
    from swin2sr_core.planning.picture_plan import PicturePlan

__all__ = ["Kind", "kind_of", "seconds_for", "timings"]


def kind_of(model: Model, plan: PicturePlan) -> Kind:
    """What runs of a plan teach, and are told by."""
    return Kind.of(model.device, model.precision, model.config, plan.plan.way)


def seconds_for(kind: Kind, work: int) -> float | None:
    """By earlier runs of the command line on this machine; None where there are none."""
    memory = timings()
    known = memory.estimate(kind, work) if memory is not None else None
    return None if known is None else known.seconds


def timings() -> Timings | None:
    """The command line's memory of how long runs took, in the user's cache folder."""
    cache = cache_dir()
    return None if cache is None else Timings(cache / "timings.json")
