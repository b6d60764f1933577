"""What int8 with fixed steps (QDQ) would cost and gain in an exported file: dB on Set5, seconds.

    python benchmarks/exported_int8.py FILE.onnx HR_FOLDER LR_FOLDER CALIBRATION_FOLDER

FILE is an x2 network of `swin2sr export`; LR pictures are named NAMEx2.png. Weights have one step
per channel, what goes into a linear layer one for all, found on the calibration pictures; the first
block stays in float. Signed steps are what TensorRT reads, unsigned ones what x86 is fast with.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from PIL import Image
from torch import Tensor

from swin2sr_core.network.padding import crop, reflect_pad

ROUNDS, SIDE, SCALE = 7, 128, 2


def picture(path: Path) -> Tensor:
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


class Calibration(CalibrationDataReader):
    """A piece of 96x96 of each picture."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("*.png"))[:8]
        self._pieces: Iterator[Tensor] = (picture(path)[..., 40:136, 40:136] for path in paths)

    def get_next(self) -> dict[str, np.ndarray] | None:
        piece = next(self._pieces, None)
        return None if piece is None else {"image": np.ascontiguousarray(piece.numpy())}


def quantized(source: Path, target: Path, kind: QuantType, calibration: Path) -> Path:
    nodes = onnx.load(source).graph.node
    layers = [n.name for n in nodes if n.op_type == "Gemm" and "layers.0/blocks.0/" not in n.name]
    quantize_static(
        source,
        target,
        Calibration(calibration),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=kind,
        weight_type=QuantType.QInt8,
        nodes_to_quantize=layers,
        calibrate_method=CalibrationMethod.MinMax,
    )
    return target


def luma(image: Tensor) -> Tensor:
    levels = (image.clamp(0, 1) * 255).round()
    weights = levels.new_tensor([65.481, 128.553, 24.966]) / 255
    return 16 + (levels * weights.view(1, 3, 1, 1)).sum(1)


def psnr(session: onnxruntime.InferenceSession, small: Path, folder: Path) -> float:
    low, high = picture(small), picture(folder / small.name.replace(f"x{SCALE}", ""))
    (out,) = session.run(None, {"image": reflect_pad(low, 8).numpy()})
    made = crop(torch.from_numpy(out), low.shape[2] * SCALE, low.shape[3] * SCALE)
    difference = luma(made) - luma(high[..., : made.shape[2], : made.shape[3]])
    error = float(difference[:, SCALE:-SCALE, SCALE:-SCALE].double().square().mean())
    return 10 * np.log10(255**2 / error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("file", "high", "low", "calibration"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = {"fp32": args.file}
        for kind in (QuantType.QInt8, QuantType.QUInt8):
            target = Path(folder) / f"{kind.name}.onnx"
            files[kind.name] = quantized(args.file, target, kind, args.calibration)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.enable_mem_pattern = False
        sessions = {
            name: onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            for name, path in files.items()
        }
        noise = np.random.default_rng(0).random((1, 3, SIDE, SIDE), np.float32)
        seconds: dict[str, list[float]] = {name: [] for name in files}
        for _ in range(ROUNDS):
            for name, session in sessions.items():
                started = time.perf_counter()
                session.run(None, {"image": noise})
                seconds[name].append(time.perf_counter() - started)
        for name, session in sessions.items():
            found = [psnr(session, path, args.high) for path in sorted(args.low.glob("*.png"))]
            size = files[name].stat().st_size / 1e6
            print(
                f"{name:<8} {size:.2f} MB, {np.mean(found):.4f} dB, {SIDE}x{SIDE} in "
                f"{np.median(seconds[name][1:]):.3f} s ({min(seconds[name]):.3f} at least)"
            )


if __name__ == "__main__":
    sys.exit(main())
