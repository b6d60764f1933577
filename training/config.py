"""What a training run is made of: plain data that a JSON file holds, and nothing that runs."""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import dataclass, field
from pathlib import Path

from swin2sr_core.errors import InputError
from swin2sr_core.network.config import Swin2SRConfig
from swin2sr_headless.degradation.chain import Degradation

COMPACT = Swin2SRConfig(
    in_channels=3,
    embed_dim=60,
    depths=(4, 4, 4),
    num_heads=(6, 6, 6),
    window=8,
    mlp_dim=120,
    scale=4,
    head="pixelshuffledirect",
    residual="1conv",
    img_range=1.0,
    padding_mode="replicate",
)
"""The network of the bundled compact-x4."""


@dataclass(frozen=True)
class Data:
    """Where crops come from.

    `folders` hold HR pictures, `exclude` names those (without suffix) that are held out.
    `synthetic` pictures are drawn besides and give `synthetic_share` of the crops. `crop` is the
    side of an LR crop in pixels; of `candidates` random crops the one with most detail is taken.
    `flat_share` of the crops are one colour, `border_share` lie at a border of the picture, and
    `ragged_share` of the batches are up to 7 pixels smaller than `crop`: the network pads them.
    `workers` processes prepare batches (0: the training process itself).
    """

    folders: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    synthetic: int = 0
    synthetic_share: float = 0.0
    crop: int = 48
    candidates: int = 1
    flat_share: float = 0.0
    border_share: float = 0.0
    ragged_share: float = 0.0
    workers: int = 0
    degradation: Degradation = field(default_factory=Degradation)


@dataclass(frozen=True)
class Loss:
    """`name`: "l1", "charbonnier" (of this `epsilon`) or "l2", of R, G and B.

    `chroma` weighs the same of Cb and Cr, `frequency` the spectrum.
    """

    name: str = "l1"
    epsilon: float = 1e-3
    chroma: float = 0.0
    frequency: float = 0.0


@dataclass(frozen=True)
class Schedule:
    """When a run ends, and the learning rate until then: linear warm-up, then a cosine to zero.

    It ends after `steps` or after `minutes` of running (0: no such limit), whichever comes first.
    With `minutes` the cosine follows the clock, so that a slow machine still cools down in time;
    such a run depends on the machine's speed, one of `steps` alone does not.
    """

    steps: int = 0
    minutes: float = 0.0
    warmup: int = 100
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Optimiser:
    """AdamW's numbers; gradients are clipped to the norm `clip`, `ema` is the average's decay."""

    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 0.5
    ema: float = 0.999


@dataclass(frozen=True)
class Validation:
    """Pictures to measure on every `every` steps: `hr`, and `lr` (empty: reduced by bicubic)."""

    hr: str = ""
    lr: str = ""
    every: int = 500


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run. `start` is a checkpoint by name or path; without it `network` starts from zero.

    `batch` is per process. `precision` is "fp32" or "bf16" (autocast). `save_minutes` lie between
    checkpoints, `log_every` steps between lines of the log.
    """

    start: str = ""
    network: Swin2SRConfig = COMPACT
    data: Data = field(default_factory=Data)
    loss: Loss = field(default_factory=Loss)
    schedule: Schedule = field(default_factory=Schedule)
    optimiser: Optimiser = field(default_factory=Optimiser)
    validation: Validation = field(default_factory=Validation)
    batch: int = 16
    precision: str = "fp32"
    compile: bool = False
    seed: int = 0
    save_minutes: float = 5.0
    log_every: int = 50

    def __post_init__(self) -> None:
        _check(self)

    def to_dict(self) -> dict[str, object]:
        """Plain values, the inverse of `from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> TrainingConfig:
        """The config of these values; what is not named keeps its default. Raises InputError."""
        return _build(cls, values, "the config")


def read_config(path: Path, changes: typing.Sequence[str] = ()) -> TrainingConfig:
    """The config of a JSON file, with changes like "schedule.steps=100". Raises InputError."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the config {path}: {error}; it must be JSON") from error
    if not isinstance(values, dict):
        raise InputError(f"the config {path} is not a JSON object; write {{...}}")
    for change in changes:
        _apply(values, change)
    return TrainingConfig.from_dict(values)


def _apply(values: dict[str, object], change: str) -> None:
    """Write one "a.b=value" into nested dictionaries; the value is JSON, or else a string."""
    name, equals, text = change.partition("=")
    if not equals:
        raise InputError(f"a change must be NAME=VALUE, got {change!r}; write schedule.steps=100")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    *parents, last = name.split(".")
    for parent in parents:
        inner = values.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise InputError(f"{parent} in {change!r} has no parts; write {parent}=VALUE")
        values = inner
    values[last] = value


T = typing.TypeVar("T")


def _build(kind: type[T], values: object, where: str) -> T:
    """A dataclass of JSON values, its nested ones and tuples included."""
    if not isinstance(values, dict):
        raise InputError(f"{where} must be a JSON object, got {values!r}; write {{...}}")
    hints = typing.get_type_hints(kind)
    unknown = sorted(values.keys() - hints.keys())
    if unknown:
        raise InputError(f"{where} has no {unknown[0]!r}; it has {', '.join(sorted(hints))}")
    made = {name: _value(hints[name], each, f"{name} of {where}") for name, each in values.items()}
    try:
        return kind(**made)
    except TypeError as error:
        raise InputError(f"{where} is incomplete: {error}; name what is missing") from error


def _value(kind: type, value: object, where: str) -> object:
    """A value of a dataclass, a tuple, or a plain type; JSON has no tuples and no whole floats."""
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, where)
    if typing.get_origin(kind) is tuple:
        inner, *rest = typing.get_args(kind)
        length = None if rest == [...] else 1 + len(rest)
        if not isinstance(value, list | tuple) or (length and len(value) != length):
            raise InputError(f"{where} must be a list of {length or 'values'}, got {value!r}")
        return tuple(_value(inner, each, where) for each in value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise InputError(f"{where} must be of type {kind.__name__}, got {value!r}")
    return value


def _check(config: TrainingConfig) -> None:
    """Values that no run can use, told before anything is loaded."""
    rules = (
        (config.loss.name in ("l1", "charbonnier", "l2"), "loss.name", "l1, charbonnier or l2"),
        (config.precision in ("fp32", "bf16"), "precision", "fp32 or bf16"),
        (config.schedule.steps >= 0, "schedule.steps", "0 or more"),
        (config.schedule.minutes >= 0, "schedule.minutes", "0 or more"),
        (config.batch >= 1, "batch", "1 or more"),
        (config.data.crop >= 8, "data.crop", "8 or more LR pixels"),
        (config.data.candidates >= 1, "data.candidates", "1 or more"),
        (0 <= config.data.synthetic_share <= 1, "data.synthetic_share", "0 to 1"),
        (0 <= config.data.flat_share <= 1, "data.flat_share", "0 to 1"),
        (0 <= config.data.border_share <= 1, "data.border_share", "0 to 1"),
        (0 <= config.data.ragged_share <= 1, "data.ragged_share", "0 to 1"),
        (0 <= config.data.degradation.share <= 1, "data.degradation.share", "0 to 1"),
        (0 <= config.optimiser.ema < 1, "optimiser.ema", "0 to below 1"),
        (config.schedule.learning_rate > 0, "schedule.learning_rate", "over 0"),
    )
    for good, name, expected in rules:
        if not good:
            value = config.to_dict()
            for part in name.split("."):
                value = typing.cast("dict[str, dict[str, object]]", value)[part]
            raise InputError(f"{name} must be {expected}, got {value!r}")
