"""A real `swin2sr batch`, pictures for it, and what its manifest says."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NAME = "swin2sr-manifest.jsonl"


def picture(path, seed=0, width=12, height=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def started(*arguments, command="batch", **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "swin2sr_core", command, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(*arguments, **how):
    """Exit code, standard output, standard error."""
    process = started(*arguments, "--device", "cpu", **how)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def rows(manifest):
    """The whole lines, without those that tell of a run."""
    lines = manifest.read_bytes().splitlines(keepends=True) if manifest.exists() else []
    entries = [json.loads(line) for line in lines if line.endswith(b"}\n")]
    return [entry for entry in entries if "run" not in entry]


def made(manifest):
    """How often each input was made."""
    return Counter(Path(row["input"]).name for row in rows(manifest) if row["error"] is None)


def files(folder):
    """Contents by names, without the manifest."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and NAME not in path.name
    }
