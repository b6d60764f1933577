"""What upscaling would do, told before it runs: strategy, memory, time. Nothing is loaded."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..swin2sr_core.errors import BudgetError, InputError
from ..swin2sr_core.export.onnx_file import SUFFIX as ONNX
from ..swin2sr_core.export.onnx_file import read_contract
from ..swin2sr_core.machine.devices import resolve_precision
from ..swin2sr_core.models.catalog import CatalogEntry
from ..swin2sr_core.models.header import published_config, read_config
from ..swin2sr_core.models.model import exported_prospect, prospect_on
from ..swin2sr_core.planning.choices import EDGES, MAX_MEGAPIXELS, PRECISIONS, STRATEGIES
from ..swin2sr_core.planning.forecast import ELEMENT_BYTES, FP32_BYTES
from ..swin2sr_core.planning.picture_plan import PictureSettings
from . import downloads, host, load, model_choice, timings
from .job import LEAST_SCALE, MOST_SCALE, Candidate, node_settings, plan_batch

LONGEST_SIDE = 16384
_USUAL_SIDES = (512, 768, 1024)
_MEMORY_STEP = 64 << 20
"""Free memory is never still; new plans are made when it has moved by this much."""

_COUNTS = {
    "width": (1, LONGEST_SIDE, 0),
    "height": (1, LONGEST_SIDE, 0),
    "frames": (1, 100_000, 1),
    "longest_side": (0, 32768, 0),
    "tile_size": (0, 4096, 0),
    "overlap": (0, 512, 0),
    "max_input_side": (0, 16384, 0),
}
_NUMBERS = {
    "scale": (LEAST_SCALE, MOST_SCALE, 4.0),
    "max_memory": (0.0, 1024.0, 0.0),
    "megapixels": (0.0, MAX_MEGAPIXELS, 0.0),
}
_CHOICES = {"precision": PRECISIONS, "edge": EDGES, "strategy": STRATEGIES}


@dataclass(frozen=True)
class Question:
    """What is asked: a model of Load Swin2SR's list, sizes (height, width), and the widgets."""

    model: str
    precision: str
    sizes: tuple[tuple[int, int], ...]
    frames: int
    settings: PictureSettings

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Question:
        """From the words of a request; what is left out has the nodes' defaults.

        Without width and height, the usual sizes are meant. Raises InputError.
        """
        known = ("model", *_COUNTS, *_NUMBERS, *_CHOICES)
        if strange := sorted(set(query) - set(known)):
            raise InputError(f"{_shown(strange[0])} is not known here; known: {', '.join(known)}")
        counts = {name: _count(query, name) for name in _COUNTS}
        numbers = {name: _number(query, name) for name in _NUMBERS}
        words = {name: _word(query, name) for name in _CHOICES}
        height, width, frames = (counts.pop(name) for name in ("height", "width", "frames"))
        if bool(height) != bool(width):
            raise InputError("a size is a width and a height; give both, or none")
        sizes = ((height, width),) if height else tuple((side, side) for side in _USUAL_SIDES)
        return cls(
            model=_model(query.get("model", model_choice.DEFAULT)),
            precision=words.pop("precision"),
            sizes=sizes,
            frames=frames,
            settings=node_settings(**numbers, **counts, **words),  # pyright: ignore[reportArgumentType]
        )


def answer(question: Question) -> dict[str, object]:
    """The plan of every size, and what it takes; JSON's types only. Nothing is read but headers.

    Raises CheckpointError for a file that is no Swin2SR, InputError for a precision that this
    machine has not, OSError for a file that went away.
    """
    device = host.compute_device()
    free = host.free_bytes(device)
    found = model_choice.find(question.model)
    version = load.file_version(found) if isinstance(found, Path) else (0, 0)
    rows = _rows(question, found, version, free // _MEMORY_STEP, timings.version())
    return {
        "model": _about(found, question.model),
        "device": device.type,
        "free_bytes": free,
        "rows": [dict(row) for row in rows],
        "precision": rows[0]["precision"],
    }


@lru_cache(maxsize=128)
def _rows(
    question: Question, found: Path | CatalogEntry, version: tuple[int, int], _free: int, _time: int
) -> tuple[dict[str, object], ...]:
    """One answer for many that ask the same at once; the last arguments only tell them apart."""
    model = _model_of(question, found, version)
    return tuple(_row(model, *size, question) for size in question.sizes)


def _model_of(
    question: Question, found: Path | CatalogEntry, version: tuple[int, int]
) -> Candidate:
    if isinstance(found, Path) and found.suffix.lower() == ONNX:
        own = read_contract(found).precision_for(found.name, question.precision)
        return Candidate(exported_prospect(read_config(found), own))
    device = host.compute_device()
    precision = resolve_precision(question.precision, device)
    if isinstance(found, Path):
        if loaded := load.loaded(found, version, precision):
            return Candidate.of(loaded)
        config, size = read_config(found), version[1]
    else:
        config = published_config(found)
        size = found.size or found.rough_size or config.parameters * FP32_BYTES
    # Files hold fp32, and so does memory where the precision has no shorter type.
    element = ELEMENT_BYTES.get(precision, FP32_BYTES)
    return Candidate(prospect_on(device, config, precision), size * element // FP32_BYTES)


def _row(model: Candidate, height: int, width: int, question: Question) -> dict[str, object]:
    row: dict[str, object] = {
        "width": width,
        "height": height,
        "frames": question.frames,
        "precision": model.prospect.precision,
    }
    try:
        picture = plan_batch(model, height, width, question.frames, question.settings)
    except (BudgetError, InputError) as error:
        return {**row, "problem": str(error)}
    plan, device = picture.plan, host.compute_device()
    kind = timings.Kind.of(device, plan.precision, model.prospect.config, plan.way)
    expected = timings.estimate(kind, plan.work * question.frames)
    return {
        **row,
        "output": [picture.width, picture.height],
        "strategy": plan.strategy,
        "forecast_bytes": plan.forecast_bytes,
        "host_bytes": plan.host_bytes,
        "seconds": round(expected.seconds, 2) if expected else None,
        "seconds_are_rough": bool(expected and not expected.same_kind),
        "notes": [*picture.notices, *plan.notes],
    }


def _about(found: Path | CatalogEntry, choice: str) -> dict[str, object]:
    """What the page shows of the model; its place on the disk is told for downloads alone."""
    if isinstance(found, Path):
        name = model_choice.name_of(found)
        return {"choice": choice, "name": name, "bytes": found.stat().st_size, "download": None}
    size = found.size or found.rough_size
    return {
        "choice": choice,
        "name": found.name,
        "bytes": size,
        "download": {
            "url": found.url,
            "file_name": found.file_name,
            "folder": str(host.download_folder()),
            "licence": found.licence,
            "checked": found.sha256 is not None,
            "state": downloads.state_of(found.name),
        },
    }


# -- reading a request ---------------------------------------------------------------------------


def _model(name: str) -> str:
    """The name, if Load Swin2SR would take it: a file of its list, or a model of the catalog."""
    if not model_choice.is_offered(name):
        raise InputError.saying(
            "model_not_listed",
            "the model is none of those that Load Swin2SR lists; choose one of them",
        )
    return name


def _count(query: Mapping[str, str], name: str) -> int:
    least, most, default = _COUNTS[name]
    if name not in query:
        return default
    text = query[name]
    value = int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else -1
    if not least <= value <= most:
        raise InputError.saying(
            "whole_number_range",
            "{name} must be a whole number from {least} to {most}, got {text}",
            name=name,
            least=least,
            most=most,
            text=_shown(text),
        )
    return value


def _number(query: Mapping[str, str], name: str) -> float:
    least, most, default = _NUMBERS[name]
    if name not in query:
        return default
    try:
        value = float(query[name][:40])
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise InputError.saying(
            "number_range",
            "{name} must be a number from {least:g} to {most:g}, got {text}",
            name=name,
            least=least,
            most=most,
            text=_shown(query[name]),
        )
    return value


def _word(query: Mapping[str, str], name: str) -> str:
    value = query.get(name, _CHOICES[name][0])
    if value not in _CHOICES[name]:
        raise InputError.saying(
            "choice_range",
            "{name} must be one of {known}, got {value}",
            name=name,
            known=", ".join(_CHOICES[name]),
            value=_shown(value),
        )
    return value


def _shown(text: str) -> str:
    """A stranger's word, short enough and harmless to repeat."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")
