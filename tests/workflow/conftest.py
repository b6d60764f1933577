"""Workflows for the tests: small graphs, small pictures, and the plugin's own fixture."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from swin2sr_headless.workflow.document.definitions import parse_definitions
from swin2sr_headless.workflow.pytest_plugin import swin2sr_session, swin2sr_workflow  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
GRAPHS = Path(__file__).parent / "graphs"


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def definitions():
    """Of the classes in tests/workflow/graphs, as a real ComfyUI tells them."""
    return parse_definitions(json.loads((GRAPHS / "definitions.json").read_text()))


@pytest.fixture(scope="session")
def comfyui() -> Path:
    """A real ComfyUI that this Python can run."""
    named = os.environ.get("COMFYUI_DIR")
    if not named:
        pytest.skip("no real ComfyUI: set COMFYUI_DIR")
    return Path(named)


@pytest.fixture
def make_picture(tmp_path: Path) -> Callable[..., Path]:
    """(name, height, width, mode, seed) -> a file of noise."""

    def make(name="example.png", height=16, width=24, mode="RGBA", seed=0, folder=None) -> Path:
        channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
        noise = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
        path = (folder or tmp_path) / name
        Image.fromarray(noise.squeeze(-1) if mode == "L" else noise, mode).save(path)
        return path

    return make


@pytest.fixture
def swin2sr(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """(*arguments) -> the command, run in a process of its own in `tmp_path`."""

    def run(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "swin2sr_core", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
            **options,
        )

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """(workflow, name) -> it as a JSON file; text is written as it is."""

    def write(workflow, name="workflow.json") -> Path:
        text = workflow if isinstance(workflow, str) else json.dumps(workflow)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def inverted() -> dict:
    """A quick graph: Load Image, Invert Image, Save Image."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {
            "class_type": "SaveImage",
            "inputs": {"images": ["2", 0], "filename_prefix": "made/x"},
        },
    }


@pytest.fixture
def upscaled() -> dict:
    """Load Image, Load Swin2SR, Tiled Upscale x4, Save Image."""
    return json.loads((ROOT / "example_workflows" / "api" / "transparent_picture.json").read_text())
