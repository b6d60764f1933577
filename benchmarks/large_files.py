"""Large pictures through the command line, in a control group that enforces a limit (Linux).

    python benchmarks/large_files.py [--limit 1GB] [--megapixels 12 24] [--scale 4 2]

Each run is told `--max-memory LIMIT` and put into a group that kills beyond it; the peak is the
group's own figure, in which page cache counts until it is written. The network is tiny: seconds
say how long files take, memory is what any small network takes. Making groups wants root.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import swin2sr_core as s2
from swin2sr_core.network.network import Swin2SR
from swin2sr_headless.cli.arguments import parse_bytes

sys.path.append(str(Path(__file__).parent.parent / "tests" / "support"))
from control_groups import control_group

CONFIG = s2.Swin2SRConfig(3, 12, (1,), (2,), 8, 24, 4, "pixelshuffledirect", "1conv", 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", default="1GB")
    parser.add_argument("--megapixels", type=int, nargs="+", default=[12, 24])
    parser.add_argument("--scale", nargs="+", default=["4", "2"])
    parser.add_argument("--suffix", nargs="+", default=[".png"])
    arguments = parser.parse_args()
    print("input       scale  output  exit   seconds   peak MB of the group   file MB")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny_network(folder)
        for megapixels in arguments.megapixels:
            source = picture(folder, megapixels)
            for scale in arguments.scale:
                for suffix in arguments.suffix:
                    row(folder, source, scale, suffix, arguments.limit)


def tiny_network(folder: Path) -> Path:
    """A model file of the smallest x4 network, with random weights."""
    torch.manual_seed(0)
    path = folder / "tiny.safetensors"
    save_file(Swin2SR(CONFIG).state_dict(), path)
    return path


def picture(folder: Path, megapixels: int) -> Path:
    """Waves and some noise, 3 : 2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = height * 3 // 2
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / 40
    noise = np.random.default_rng(0).integers(0, 12, (height, width, 3), np.uint8)
    waves = np.stack([np.sin(x) * np.cos(y), np.sin(x + y), np.cos(x - 2 * y)], axis=2)
    path = folder / f"{width}x{height}.png"
    Image.fromarray((waves * 110 + 120).astype(np.uint8) + noise).save(path, compress_level=1)
    return path


def row(folder: Path, source: Path, scale: str, suffix: str, limit: str) -> None:
    output = folder / f"out{suffix}"
    group = control_group(parse_bytes(limit))
    if group is None:
        sys.exit("no control group can be made here: this needs Linux, and root")
    options = ["--model", folder / "tiny.safetensors", "--device", "cpu", "--max-memory", limit]
    command = [sys.executable, "-m", "swin2sr_core", "upscale", source, "-o", output]
    started = time.perf_counter()
    result = subprocess.run(
        list(map(str, [*command, "--scale", scale, "--overwrite", *options])),
        preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    peak = next(
        int((group / name).read_text())
        for name in ("memory.max_usage_in_bytes", "memory.peak")
        if (group / name).is_file()
    )
    group.rmdir()
    written = output.stat().st_size / 1e6 if output.exists() else 0
    print(
        f"{source.stem:<12}x{scale:<5}{suffix:<8}{result.returncode:<6}{seconds:7.1f}"
        f"{peak / 2**20:>14.0f}{written:>20.0f}",
        flush=True,
    )
    if result.returncode:
        print(f"    {result.stderr.strip().splitlines()[-1:]}")
    output.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
