"""What runs a network, side by side: ours, onnxruntime and OpenVINO, each in a process of its own.

A process of its own tells what an engine takes in memory, and how long its first run is, whatever
ran before it. All are started, and then take turns, so that a busy machine slows them alike.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from swin2sr_core.errors import Swin2SRError
from swin2sr_core.kernels.setting import VARIABLE

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Engine:
    """One way to run a network. `library` is what has to be installed for it."""

    name: str
    precision: str
    library: str = "torch"
    kernels: str = "auto"

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.library) is not None


REFERENCE = Engine("torch, reference", "fp32", kernels="reference")
ENGINES = (
    REFERENCE,
    Engine("torch, kernels", "fp32"),
    Engine("torch, kernels", "bf16"),
    Engine("onnxruntime", "fp32", "onnxruntime"),
    Engine("onnxruntime", "fp16", "onnxruntime"),
    Engine("openvino", "fp32", "openvino"),
    Engine("openvino", "its default", "openvino"),
)


@dataclass
class Result:
    """Of one engine: seconds to its first picture, loading included, and of each later round.

    `kernel` is what ran, as it calls itself; `bytes` is the process's peak; `difference` is the
    largest from torch's reference in fp32, `decibels` the mean one.
    """

    engine: Engine
    kernel: str = ""
    first: float = 0.0
    rounds: list[float] = field(default_factory=list)
    bytes: int | None = None
    difference: float = 0.0
    decibels: float = math.inf

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "kernel": self.kernel,
            "first_seconds": round(self.first, 4),
            "median_seconds": round(self.median, 4),
            "rounds_seconds": [round(each, 4) for each in self.rounds],
            "peak_bytes": self.bytes,
            "largest_difference": self.difference,
            "decibels": round(min(self.decibels, 999.0), 2),
        }


def compared(
    model: str, files: dict[str, Path], size: tuple[int, int], repeat: int, progress: Progress
) -> list[Result]:
    """Every installed engine with `model` at (height, width), `repeat` rounds in turns.

    `files` are the model's exported files, by precision. Raises Swin2SRError where one fails.
    """
    engines = [each for each in ENGINES if each.installed and (each.library == "torch" or files)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        children = []
        for index, engine in enumerate(engines):
            source = (
                model
                if engine.library == "torch"
                else str(files.get(engine.precision) or files["fp32"])
            )
            made = folder / f"{index}.npy"
            children.append(stack.enter_context(_child(engine, source, size, made)))
            progress(index + 1, len(engines) * (repeat + 1))
        for turn in range(repeat):
            for index, child in enumerate(children):
                child.round()
                progress((turn + 1) * len(engines) + index + 1, len(engines) * (repeat + 1))
        pictures = [child.picture() for child in children]
    results = [child.result for child in children]
    for result, picture in zip(results, pictures, strict=True):
        difference = picture.astype(np.float64) - pictures[0]
        result.difference = float(np.abs(difference).max())
        error = float(np.square(difference).mean())
        result.decibels = -10 * math.log10(error) if error else math.inf
    return results


def _source(engine: Engine, model: str, files: dict[str, Path]) -> str:
    """The file that an engine reads: one that narrows by itself reads the fp32 one."""
    return model if engine.library == "torch" else str(files.get(engine.precision, files["fp32"]))


class _Child:
    """An engine in its process, which answers lines with lines of JSON."""

    def __init__(self, engine: Engine, process: subprocess.Popen[str], made: Path) -> None:
        self.result, self._process, self._made = Result(engine), process, made
        told = self._answer()
        self.result.kernel, self.result.first = str(told["kernel"]), float(str(told["seconds"]))

    def round(self) -> None:
        self._ask("run")
        self.result.rounds.append(float(str(self._answer()["seconds"])))

    def picture(self) -> np.ndarray:
        self._ask("end")
        peak = self._answer()["bytes"]
        self.result.bytes = peak if isinstance(peak, int) else None
        return np.load(self._made)

    def _ask(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            name, precision = self.result.engine.name, self.result.engine.precision
            raise Swin2SRError(f"{name} in {precision} fails here; its message is above")
        return json.loads(line)


@contextmanager
def _child(engine: Engine, source: str, size: tuple[int, int], made: Path) -> Iterator[_Child]:
    words = (engine.library, engine.precision, source, *map(str, size), str(made))
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    process = subprocess.Popen(
        [sys.executable, "-m", "swin2sr_headless.benchmarking.engine_process", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, VARIABLE: engine.kernels, "PYTHONPATH": paths},
    )
    try:
        yield _Child(engine, process, made)
    finally:
        process.kill()
        process.wait()
