"""The training package is no part of what is installed: it is imported from the checkout."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]

if "training" not in sys.modules:
    # By its file, not by sys.path: the checkout has a package `nodes`, and so has ComfyUI.
    folder = ROOT / "training"
    spec = importlib.util.spec_from_file_location(
        "training", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["training"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["training"])


@pytest.fixture(scope="session")
def checkout():
    return ROOT


@pytest.fixture(scope="session")
def two_pictures(tmp_path_factory):
    """A folder with two small pictures that have edges, ramps and texture: something to learn."""
    from swin2sr_headless.degradation.drawn import drawn_picture

    folder = tmp_path_factory.mktemp("pictures")
    for number in (0, 3):
        pixels = drawn_picture(5, number, 160)
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def tiny_run(two_pictures):
    """(**changes by dotted name) -> the config of a run that takes a second or two."""
    from training.config import TrainingConfig

    def make(**changes):
        values = {
            "network": {
                "in_channels": 3,
                "embed_dim": 12,
                "depths": [2],
                "num_heads": [2],
                "window": 8,
                "mlp_dim": 24,
                "scale": 2,
                "head": "pixelshuffledirect",
                "residual": "1conv",
                "img_range": 1.0,
            },
            "data": {"folders": [str(two_pictures)], "crop": 16},
            "schedule": {"steps": 50, "warmup": 5, "learning_rate": 2e-3},
            "optimiser": {"ema": 0.9},
            "batch": 2,
        }
        for name, value in changes.items():
            *parents, last = name.split("__")
            place = values
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        return TrainingConfig.from_dict(values)

    return make
