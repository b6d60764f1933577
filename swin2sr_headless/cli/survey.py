"""What can be known of a batch before it is computed: sizes, limits, disk space, time."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swin2sr_core.engine.upscale import room_on
from swin2sr_core.errors import BudgetError, InputError
from swin2sr_core.picture_job import PictureJob
from swin2sr_core.pictures import Picture
from swin2sr_core.pictures.files.output_limits import check_output, estimated_bytes
from swin2sr_core.planning.budget import Room
from swin2sr_core.planning.picture_plan import PicturePlan, plan_picture, results_at_once
from swin2sr_core.units import format_bytes

from .estimates import kind_of, seconds_for
from .files import Writing, opened, output_bits
from .targets import Target

_SURELY = 0.5
"""Files are this much smaller than estimated at times: what does not even fit so is refused."""


@dataclass(frozen=True)
class Forecast:
    """Of one picture: the size of the result, and about how many bytes and seconds it takes.

    `seconds` is None while nothing similar has run on this machine.
    """

    size: tuple[int, int]
    file_bytes: int
    seconds: float | None


@dataclass
class Surveyor:
    """Looks at the headers of pictures, with the plans that there would be now."""

    job: PictureJob
    writing: Writing
    _plans: dict[tuple[int, int, int], PicturePlan | None] = field(default_factory=dict)
    _room: Room | None = None

    def forecast(self, target: Target) -> Forecast | None:
        """What is to be expected of a picture; None where no plan fits, which its run explains.

        Raises InputError for what cannot be read, and for a result that its format cannot hold.
        """
        with opened(target, self.writing) as picture:
            width, height = picture.size
            plan = self._plan(height, width, picture.channels)
            if plan is None:
                return None
            bits = output_bits(self.writing.bits, picture, target.output)
            shape = (plan.width, plan.height, picture.frame_count, picture.channels, bits)
            check_output(target.output, *shape)
            size = estimated_bytes(target.output, *shape, quality=self.writing.quality)
            seconds = self._seconds(plan, picture)
        return Forecast((plan.width, plan.height), size, seconds)

    def _plan(self, height: int, width: int, channels: int) -> PicturePlan | None:
        model, settings = self.job.model, self.job.settings
        key = height, width, results_at_once(model.config, channels)
        if key not in self._plans:
            self._room = self._room or room_on(model.device)
            try:
                found = plan_picture(
                    model.prospect, height, width, settings, self._room, channels=channels
                )
            except BudgetError:
                found = None
            self._plans[key] = found
        return self._plans[key]

    def _seconds(self, plan: PicturePlan, picture: Picture) -> float | None:
        return seconds_for(kind_of(self.job.model, plan), plan.plan.work * picture.frame_count)


def check_space(wanted: Sequence[tuple[Path, int]]) -> list[str]:
    """What to say about disks that the outputs may fill; `wanted`: (output, estimated bytes).

    Raises InputError where they surely do not fit.
    """
    needed: dict[int, int] = {}
    places: dict[int, Path] = {}
    for path, size in wanted:
        place = _existing(path.parent)
        device = place.stat().st_dev
        places.setdefault(device, place)
        needed[device] = needed.get(device, 0) + size
    notices = []
    for device, size in needed.items():
        free = shutil.disk_usage(places[device]).free
        if size <= free:
            continue
        what = (
            f"{places[device]} has {format_bytes(free)} free, and the outputs take about "
            f"{format_bytes(size)}"
        )
        if size * _SURELY > free:
            raise InputError(f"{what}; free some space there, or choose another -o")
        notices.append(f"{what}; they may not all fit")
    return notices


def check_places(outputs: Iterable[Path]) -> None:
    """Raises InputError where the folder of an output cannot be made or written into."""
    for folder in dict.fromkeys(path.parent for path in outputs):
        place = _existing(folder)
        if not place.is_dir():
            raise InputError(
                f"cannot make the output folder {folder}: {place} is a file; choose another"
            )
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            if not isinstance(error, PermissionError) and os.access(place, os.W_OK):
                continue  # full, say: that is told of the picture that does not fit
            raise InputError(
                f"cannot write into {folder}: {place} is read-only; choose another place"
            ) from error


def _existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())
