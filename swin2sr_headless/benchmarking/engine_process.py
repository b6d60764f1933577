"""One engine in a process of its own: makes a picture, again whenever it is told to, in JSON lines.

python -m swin2sr_headless.benchmarking.engine_process LIBRARY PRECISION MODEL HEIGHT WIDTH OUT
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..cli.process_memory import peak_process_bytes

Run = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Answers the first picture, then "run" and "end", with a line each."""
    library, precision, model, height, width, made = sys.argv[1:]
    started = time.perf_counter()
    kernel, channels, run = _ENGINES[library](model, precision)
    image = np.random.default_rng(0).random((1, channels, int(height), int(width)), np.float32)
    out = run(image)
    _tell(kernel=kernel(), seconds=time.perf_counter() - started)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        started = time.perf_counter()
        out = run(image)
        _tell(seconds=time.perf_counter() - started)
    np.save(made, np.clip(out, 0, 1))
    _tell(bytes=_peak_bytes())


def _peak_bytes() -> int | None:
    """Of this program alone: what a process was before it became one counts in `getrusage`."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return peak_process_bytes()


def _tell(**values: object) -> None:
    print(json.dumps(values), flush=True)


def _torch(model: str, precision: str) -> tuple[Callable[[], str], int, Run]:
    import torch

    import swin2sr_core as s2

    loaded, kernels = s2.load_model(model, precision), [""]

    def run(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[2:]
        plan = s2.make_plan(loaded, height, width, loaded.scale, strategy="whole")
        result = s2.upscale(loaded, torch.from_numpy(image), plan=plan)
        kernels[0] = result.report.kernel
        return result.image.numpy()

    return lambda: kernels[0], loaded.config.in_channels, run


def _onnxruntime(model: str, precision: str) -> tuple[Callable[[], str], int, Run]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_mem_pattern = False  # as in swin2sr_core/export/session.py
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    channels = session.get_inputs()[0].shape[1]
    return lambda: "CPU", channels, lambda image: np.asarray(session.run(None, {"image": image})[0])


def _openvino(model: str, precision: str) -> tuple[Callable[[], str], int, Run]:
    import openvino  # pyright: ignore[reportMissingImports]

    hints = {"INFERENCE_PRECISION_HINT": "f32"} if precision == "fp32" else {}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", hints)
    channels = compiled.input(0).get_partial_shape()[1].get_length()
    kind = str(compiled.get_property("INFERENCE_PRECISION_HINT").to_string())
    return lambda: kind, channels, lambda image: np.asarray(compiled({"image": image})[0])


_ENGINES = {"torch": _torch, "onnxruntime": _onnxruntime, "openvino": _openvino}


if __name__ == "__main__":
    main()
