"""What answers without torch: help, the catalog, planning, headers of pictures and models.

Each in a process of its own, where an import of torch would be an error.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "swin2sr_core" / "models" / "bundled" / "compact_x4.safetensors"

PICTURE = f"""
from swin2sr_core.pictures import open_picture
with open_picture({str(ROOT / "examples" / "astronaut_128.png")!r}) as picture:
    assert picture.size == (128, 128) and picture.frame_count == 1
    assert picture.metadata.bits == 8
"""

CODE = {
    "the package": "import swin2sr_core, swin2sr_headless",
    "the catalog": (
        "from swin2sr_core.models.catalog import list_models\nassert list_models()[0].path"
    ),
    "downloads": "import swin2sr_core.models.download",
    "a picture's header": PICTURE,
    "writers of pictures": "from swin2sr_core.pictures import save_picture",
    "a limit on the input": (
        "from swin2sr_core.pictures.input_gate import gated_size\n"
        "assert gated_size(400, 200, 100) == (100, 50)"
    ),
    "a model's header": (
        "from pathlib import Path\n"
        "from swin2sr_core.models.header import read_config\n"
        f"assert read_config(Path({str(MODEL)!r})).scale == 4"
    ),
}


def run(code: str) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.modules['torch'] = None\n{code}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("what", CODE)
def test_it_needs_no_torch(what):
    done = run(CODE[what])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["upscale", "--help"], ["models", "list"]])
def test_commands_that_need_no_torch(arguments):
    done = run(f"from swin2sr_headless.cli.main import main\nsys.exit(main({arguments}))")
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_an_import_of_torch_would_be_seen():
    done = run("import swin2sr_core.network.network")
    assert done.returncode == 1
    assert "torch" in done.stderr
