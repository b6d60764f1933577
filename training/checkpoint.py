"""A run on disk: everything a step depends on, in one file that appears whole or not at all."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from swin2sr_core.errors import CheckpointError
from swin2sr_core.pictures.files.output_file import output_file

State = dict[str, Tensor]


@dataclass(frozen=True)
class RunState:
    """A run after `step` steps and `seconds` of running.

    `network` are the trained weights, `average` their moving average (what is exported), both by
    official names; `optimiser` is the optimiser's own state, `config` the run's, as plain values.
    """

    step: int
    seconds: float
    network: State
    average: State
    optimiser: dict[str, object]
    config: dict[str, object]


def save_run(path: Path, state: RunState) -> None:
    """Write (or replace) the file; an interruption leaves the one before. Raises InputError."""
    with output_file(path, overwrite=True) as file:
        torch.save({name: getattr(state, name) for name in RunState.__dataclass_fields__}, file)


def load_run(path: Path) -> RunState:
    """Read what `save_run` wrote, onto the CPU; only tensors and plain values.

    Raises CheckpointError.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return RunState(**content)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no training checkpoint {path}; check the name") from error
    except (OSError, RuntimeError, EOFError, TypeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no details"
        raise CheckpointError(
            f"{path} is no whole training checkpoint ({reason}); take an older one of the run"
        ) from error
